"""PS3.7: what message was sent?"""
