package lm

import (
	"context"

	"qpt/format/graph"
)

// Part is what one pass reads of a session's tokens: all of an append, or a part of one.
type Part struct {
	Session *Session
	IDs     []int32 // at least one
	// End is the length of the session when all of the append is read that this is a piece of; 0: with it. It
	// matters where positions are encoded by the length (graph.Part.End).
	End  int
	Rows []int32 // whose predictions are wanted: ascending indices into IDs; may be empty
}

// Step runs one pass over pieces of several sessions, each in the list once, and calls visit with the
// predictions [V] after each row wanted, in the order of the list; they are valid, and may be changed, until Step
// returns. It leaves Session.Logits alone. After an error, and after a panic, all sessions are as they were.
// It is for who schedules passes; AppendAll cuts appends into passes itself.
func (m *Model) Step(ctx context.Context, list []Part, visit func(i int, row int32, logits []float32)) error {
	b := graph.Batch{Parts: make([]graph.Part, len(list))}
	var ids []int32
	for i, p := range list {
		b.Parts[i] = graph.Part{Seq: p.Session.s, N: len(p.IDs), End: p.End, Rows: p.Rows}
		ids = append(ids, p.IDs...)
	}
	b.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}}
	return m.Pass(ctx, m.Program(), &b, func(out []graph.Tensor) error {
		at := out[0].F
		for i, p := range list {
			for _, row := range p.Rows {
				visit(i, row, at[:m.vocab:m.vocab])
				at = at[m.vocab:]
			}
		}
		return nil
	})
}
