"""Benchmarks as a product: the archive beside DCMTK's dcmqrscp and Orthanc, in one run, with DCMTK's clients."""
