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

// Every is rows first, first+step, ...
func (r *Rows) Every(first, step int) *Rows {
	c := &Rows{N: (r.N - first + step - 1) / step}
	for _, in := range r.Inputs {
		t := graph.Tensor{Shape: append([]int{c.N}, in.Shape[1:]...)}
		for i, size := first, len(in.F)/r.N; i < r.N; i += step {
			t.F = append(t.F, in.F[i*size:][:size]...)
		}
		c.Inputs = append(c.Inputs, Named{in.Name, t})
	}
	return c
}

// rowsAtOnce is how many rows of a network on tensors walk together.
const rowsAtOnce = 8

// ObserveRows is Observe for a network on tensors: it chooses a range for each of the values, inputs too, in the order given, on
// rows, one after the other. The result depends neither on Threads nor on what walks together.
func ObserveRows(ctx context.Context, g *graph.Graph, src graph.Source, values []string, rows *Rows, opt StaticOptions) ([]Static, error) {
	grid := Grid{QMax: 255, Symmetric: opt.Symmetric}
	list, shapes := map[string]*watched{}, g.ValueMap()
	for _, name := range values {
		obs, err := NewObserver(opt.Observer, grid)
		if err != nil {
			return nil, err
		}
		list[name] = &watched{name: name, obs: obs}
		numbers := rows.N // of a channel
		shape := shapes[name].Shape
		for _, d := range shape[1 : len(shape)-1] {
			numbers *= int(d)
		}
		if numbers < fewNumbers {
			list[name].few = newSpread(grid, int(shape[len(shape)-1]))
		}
	}
	err := walkRows(ctx, g, src, rows, opt.Threads, func(name string, x []float32) error {
		if v := list[name]; v != nil {
			return v.observe(graph.Tensor{F: x})
		}
		return nil
	}, opt.Progress)
	if err != nil {
		return nil, err
	}
	var out []Static
	for _, name := range values {
		out = append(out, list[name].static())
	}
	return out, nil
}

// Outputs runs a network over rows in float32 and shows the rows of its outputs of floats, row by row.
func Outputs(ctx context.Context, g *graph.Graph, src graph.Source, rows *Rows, threads int, see func(output string, row []float32) error) error {
	return walkRows(ctx, g, src, rows, threads, func(name string, x []float32) error {
		if !slices.Contains(g.Outputs, name) {
			return nil
		}
		return see(name, x)
	}, nil)
}

// walkRows runs a network over rows and calls see for each value of numbers that something reads, row by row, inputs too.
func walkRows(ctx context.Context, g *graph.Graph, src graph.Source, rows *Rows, threads int, see func(name string, x []float32) error, progress func(done, total int)) error {
	at := rowsAtOnce
	for _, in := range g.Inputs {
		if in.Shape[0] >= 0 { // as many as the graph takes
			at = int(in.Shape[0])
		}
	}
	if at < 1 || at != rowsAtOnce && rows.N%at != 0 {
		return fmt.Errorf("calibrate: %d rows of calibration data: the graph takes %d at a time", rows.N, at)
	}
	kept := &kept{Source: src, read: map[string][]float32{}}
	for r := 0; r < rows.N; r += at {
		n := min(at, rows.N-r)
		each := func(name string, x graph.Tensor) error {
			for size, i := len(x.F)/n, 0; i < n && size > 0; i++ {
				if err := see(name, x.F[i*size:(i+1)*size]); err != nil {
					return err
				}
			}
			return nil
		}
		b := rows.Part(r, r+n)
		for _, in := range rows.Inputs {
			if err := each(in.Name, b.Inputs[in.Name]); err != nil {
				return err
			}
		}
		walk, err := ref.Start(g, kept, b, ref.Options{Threads: threads, Dot: linear.MatMul()})
		if err != nil {
			return err
		}
		for i := range g.Nodes {
			if err := walk.Advance(ctx, i+1); err != nil {
				return err
			}
			for _, name := range g.Nodes[i].Out {
				if x := walk.Value(name); x != nil {
					if err := each(name, x[0]); err != nil {
						return err
					}
				}
			}
		}
		if progress != nil {
			progress(r+n, rows.N)
		}
	}
	return nil
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
