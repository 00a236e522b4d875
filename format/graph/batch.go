package graph

// Batch is the work of one pass, for either executor: rows of any number of
// sequences, each at its own position. With the sizes T, the sum of the parts'
// N, and R, the sum of their len(Rows), an input [T, ..] holds the rows of the
// parts one after the other, and so does an output [R, ..].
//
// The inputs "pos" i32 [T], the position of each row in its sequence, and
// "rows" i32 [R], the rows wanted as indices into all T, are the executor's own. All
// other inputs of the graph are in Inputs; symbols other than T and R take their extents from these.
type Batch struct {
	Parts  []Part // in order of their rows; may be empty when the graph has neither T nor R
	Inputs map[string]Tensor
}

// Part is the share of one sequence in a pass.
type Part struct {
	// Seq holds what came before and takes up what this part adds: it belongs to the executor
	// that made it, and to one part of a pass. nil: these rows see only each other, from position 0.
	Seq Sequence
	N   int // rows, at least 1
	// Rows are those whose results are wanted, ascending, as indices into the part; empty for none.
	Rows []int32
	// End is the number of positions of the sequence when all of the append is done
	// that this part belongs to; 0: with this part. RoPE whose scaling depends on
	// the length takes this one, so that it does not matter how an append is cut into passes.
	End int
}

// Sequence owns the states of a graph (the keys and values of attention) for
// one sequence. Executors have their own kinds.
type Sequence interface {
	Len() int // positions so far
}

// Rows returns the sizes of a pass: rows of all parts, and rows wanted.
func (b *Batch) Rows() (t, r int) {
	for _, p := range b.Parts {
		t += p.N
		r += len(p.Rows)
	}
	return t, r
}
