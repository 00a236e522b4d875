package exec

import (
	"context"
	"math"
	"slices"
	"time"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

// Run carries out one pass and returns the graph's outputs, valid until the next pass
// of this workspace: the rows wanted of all parts, one after the other, where an
// output counts R. The sequences of the parts take up their rows only when all has
// gone well; when ctx ends, which is looked at between steps, its error comes back
// and they are as before.
func (p *Program) Run(ctx context.Context, ws *Workspace, b *graph.Batch) ([]graph.Tensor, error) {
	f := ws.frame(p)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.bind(b); err != nil {
		return nil, err
	}
	whole := false
	defer func() { // also after a panic: mapped weights may be lost
		for i := range f.segs {
			switch s := f.segs[i].seq; {
			case s == nil:
			case whole:
				s.took(f.segs[i].n)
			default:
				s.drop()
			}
		}
	}()
	if err := f.reserve(); err != nil {
		return nil, err
	}
	ws.pool.Begin()
	defer ws.pool.End()
	for _, st := range p.steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if ws.Watch == nil {
			f.exec(st)
			continue
		}
		start := time.Now()
		f.exec(st)
		took := time.Since(start)
		ws.Watch(Took{p.dumpStep(st), products(f, st), took})
	}
	whole = true
	return f.result(), nil
}

// Took is how long a step of a pass took.
type Took struct {
	Step     string  // as Dump prints it
	Products float64 // of convolutions, padding counted; 0: unknown
	Time     time.Duration
}

// products counts those of a convolution, or of some that are one step.
func products(f *frame, st step) (n float64) {
	switch st := st.(type) {
	case *convStep:
		return float64(f.rows[st.out]) * float64(st.K()) * float64(st.layer.Weight.N)
	case *chainStep:
		for _, s := range st.list {
			n += products(f, s)
		}
	}
	return n
}

// reserve makes room for the new positions of every sequence of the pass.
func (f *frame) reserve() error {
	for i := range f.segs {
		if s := f.segs[i].seq; s != nil {
			if err := s.reserve(f.segs[i].n); err != nil {
				return err
			}
		}
	}
	return nil
}

// NotFinite is the first of x that is NaN or infinite, -1 if none is.
func NotFinite(x []float32) int {
	if math.Float32frombits(elem.AbsMax(x)) <= math.MaxFloat32 {
		return -1
	}
	return slices.IndexFunc(x, func(v float32) bool { return v-v != 0 })
}
