package calibrate

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// Named is an input by its name.
type Named struct {
	Name string
	graph.Tensor
}

// Rows are N rows of each input of a network on tensors, [N, ..].
type Rows struct {
	N      int
	Inputs []Named
}

// Part is rows r0 to r1-1 as a batch.
func (r *Rows) Part(r0, r1 int) *graph.Batch {
	b := &graph.Batch{Inputs: map[string]graph.Tensor{}}
	for _, in := range r.Inputs {
		size := len(in.F) / r.N
		b.Inputs[in.Name] = graph.Tensor{Shape: append([]int{r1 - r0}, in.Shape[1:]...), F: in.F[r0*size : r1*size]}
	}
	return b
}

// rowsAtOnce is how many rows of a network on tensors walk together.
const rowsAtOnce = 8

// ObserveRows is Observe for a network on tensors: it chooses a range for each of the values, inputs too, in the order given, on
// rows, one after the other. The result depends neither on Threads nor on what walks together.
func ObserveRows(ctx context.Context, g *graph.Graph, src graph.Source, values []string, rows *Rows, opt StaticOptions) ([]Static, error) {
	grid := Grid{QMax: 255, Symmetric: opt.Symmetric}
	list := map[string]*watched{}
	for _, name := range values {
		obs, err := NewObserver(opt.Observer, grid)
		if err != nil {
			return nil, err
		}
		list[name] = &watched{name: name, obs: obs}
	}
	at := rowsAtOnce
	for _, in := range g.Inputs {
		if in.Shape[0] >= 0 { // as many as the graph takes
			at = int(in.Shape[0])
		}
	}
	if at < 1 || at != rowsAtOnce && rows.N%at != 0 {
		return nil, fmt.Errorf("calibrate: %d rows of calibration data: the graph takes %d at a time", rows.N, at)
	}
	kept := &kept{Source: src, read: map[string][]float32{}}
	for r := 0; r < rows.N; r += at {
		n := min(at, rows.N-r)
		see := func(name string, x graph.Tensor) error {
			v := list[name]
			if v == nil {
				return nil
			}
			for size, i := len(x.F)/n, 0; i < n; i++ {
				if err := v.observe(graph.Tensor{F: x.F[i*size : (i+1)*size]}); err != nil {
					return err
				}
			}
			return nil
		}
		b := rows.Part(r, r+n)
		for _, in := range rows.Inputs {
			if err := see(in.Name, b.Inputs[in.Name]); err != nil {
				return nil, err
			}
		}
		walk, err := ref.Start(g, kept, b, ref.Options{Threads: opt.Threads, Dot: linear.MatMul()})
		if err != nil {
			return nil, err
		}
		for i := range g.Nodes {
			if err := walk.Advance(ctx, i+1); err != nil {
				return nil, err
			}
			for _, name := range g.Nodes[i].Out {
				if x := walk.Value(name); x != nil {
					if err := see(name, x[0]); err != nil {
						return nil, err
					}
				}
			}
		}
		if opt.Progress != nil {
			opt.Progress(r+n, rows.N)
		}
	}
	var out []Static
	for _, name := range values {
		out = append(out, list[name].static())
	}
	return out, nil
}

// kept is a source that keeps what was read.
type kept struct {
	graph.Source
	mu   sync.Mutex
	read map[string][]float32
}

// ReadRows implements graph.Source.
func (m *kept) ReadRows(name string, r0, r1 int, dst []float32) error {
	key := fmt.Sprintf("%d %d %s", r0, r1, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if x, ok := m.read[key]; ok {
		copy(dst, x)
		return nil
	}
	if err := m.Source.ReadRows(name, r0, r1, dst); err != nil {
		return err
	}
	m.read[key] = slices.Clone(dst)
	return nil
}
