"""What a number, a date, a name or a mark looks like: kernels that read a document's pieces from left to right."""
