package ref

// Fast are functions in place of the plain loops and of package math, with roundings of their own but for Binary and Times (numerics N6.4). All may be called from several goroutines.
type Fast struct {
	// Linear sets ys [M][N] to xs [M][K] W^T.
	Linear func(weight string, ys, xs [][]float32) error
	// Unary and Binary find a function of one value, and of two, by its name in the graph; false: there is none. dst may be x.
	Unary  func(name string) (f func(dst, x []float32), ok bool)
	Binary func(name string) (f func(dst, a, b []float32), ok bool)
	Times  func(dst, x []float32, s float32) // dst may be x
}
