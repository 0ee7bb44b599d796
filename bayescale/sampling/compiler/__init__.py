"""A density traced, differentiated and compiled in a tenth of a second, without PyTensor."""
