"""PS3.8: how do two application entities hold an association?"""
