package linear

// shape is a linear layer to measure, a line of testdata/shapes.txt.
type shape struct{ m, n, k int }
