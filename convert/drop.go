package convert

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"qpt/calibrate"
	"qpt/format"
	"qpt/format/graph"
	"qpt/runtime"
	"qpt/runtime/diff"
)

// Drop is what int8 costs a network on tensors on its calibration rows: of results [rows, classes] the share of the rows whose greatest number is another class than FP32's,
// of others the share of noise in their power; the most of them.
type Drop struct {
	Rows   int     `json:"rows"`
	Layers int     `json:"layers"`   // in int8 without the rules
	All    float64 `json:"all_int8"` // with all of them in int8
	After  float64 `json:"after"`
	// Float are the layers that stay float32, the most sensitive first.
	Float []LayerDrop `json:"float32"`
}

// LayerDrop is a layer and its sensitivity: the share of noise in the results when it alone is int8.
type LayerDrop struct {
	Name  string  `json:"name"`
	Noise float64 `json:"noise"`
}

// LimitDrop finds which layers of a conversion to s8s8 have to stay float32 so that the drop is at most most, and gives the options that ask for it: the most sensitive
// layers first, as few as do. Each sensitivity is measured, with that layer alone in int8; the result is converted and measured as a whole.
func LimitDrop(ctx context.Context, o Options, most float64, h Hooks) (Options, *Drop, error) {
	dir, err := os.MkdirTemp("", "qconv-")
	if err != nil {
		return o, nil, err
	}
	defer os.RemoveAll(dir)
	m := limit{ctx: ctx, o: o, h: h, most: most, dir: dir}
	defer m.close()
	if err := m.begin(); err != nil {
		return o, nil, err
	}
	d, err := m.find()
	return m.o, d, err
}

// pass is Model.Pass of a program.
type pass func(ctx context.Context, b *graph.Batch, use func(out []graph.Tensor) error) error

// mainOf is that of a file's.
func mainOf(m *runtime.Model) pass {
	return func(ctx context.Context, b *graph.Batch, use func(out []graph.Tensor) error) error {
		return m.Pass(ctx, m.Program(), b, use)
	}
}

// limit is a search.
type limit struct {
	ctx  context.Context
	o    Options
	h    Hooks
	most float64
	dir  string

	rows       *calibrate.Rows
	float, int *runtime.Model
	layers     []string // of int8
	graph      *graph.Graph
	want       []graph.Tensor
}

func (m *limit) close() {
	for _, x := range []*runtime.Model{m.float, m.int} {
		if x != nil {
			x.Close()
		}
	}
}

// convert carries out a conversion into a file of its own.
func (m *limit) convert(o Options, name string, with func(p *Plan) error) (*runtime.Model, error) {
	o.Out, o.References = filepath.Join(m.dir, name), -1
	p, err := MakePlan(o)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if with != nil {
		if err := with(p); err != nil {
			return nil, err
		}
	}
	if _, err := p.Run(m.ctx, m.h); err != nil {
		return nil, err
	}
	return runtime.Load(o.Out, runtime.Options{Threads: o.Threads})
}

// begin makes both files and the results wanted.
func (m *limit) begin() (err error) {
	m.int, err = m.convert(m.o, "int8.qpt", func(p *Plan) (err error) {
		for _, it := range p.Items {
			if it.Scheme == "s8s8" {
				m.layers = append(m.layers, it.Name)
			}
		}
		if !p.onTensors() || len(m.layers) == 0 {
			return fmt.Errorf("%w: --max-drop chooses which layers of a network on tensors stay float32 beside s8s8: this conversion has no such layer; language models have --target-kl", ErrUsage)
		}
		m.graph = p.graph
		m.rows, err = p.calibrationRows()
		return err
	})
	if err != nil {
		return err
	}
	o := m.o
	o.Scheme, o.Calib, o.Observer, o.Symmetric, o.Recipe, o.Overrides, o.Include, o.Exclude = "f32", "", "", false, nil, nil, "", ""
	if m.float, err = m.convert(o, "f32.qpt", nil); err != nil {
		return err
	}
	m.want, err = m.results(mainOf(m.float))
	return err
}

// results are those of a program for all rows, one after the other.
func (m *limit) results(run pass) (out []graph.Tensor, err error) {
	at := 1
	for _, in := range m.int.Graph.Inputs {
		at = max(at, int(in.Shape[0]))
	}
	for r := 0; r+at <= m.rows.N; r += at {
		err := run(m.ctx, m.rows.Part(r, r+at), func(list []graph.Tensor) error {
			if out == nil {
				out = make([]graph.Tensor, len(list))
			}
			for i, t := range list {
				out[i].Shape = slices.Clone(t.Shape)
				out[i].F = append(out[i].F, t.F...)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// apart are the drop and the share of noise, the most of all results.
func (m *limit) apart(run pass) (drop, noise float64, err error) {
	got, err := m.results(run)
	if err != nil {
		return 0, 0, err
	}
	for i, want := range m.want {
		if len(want.F) == 0 {
			continue // integers
		}
		var power, errors float64
		for j, v := range want.F {
			e := float64(got[i].F[j]) - float64(v)
			power, errors = power+float64(v)*float64(v), errors+e*e
		}
		share := errors / max(power, 1e-30)
		noise = max(noise, share)
		if n := want.Shape[len(want.Shape)-1]; len(want.Shape) == 2 && n > 1 {
			flips, rows := 0, len(want.F)/n
			for r := range rows {
				if diff.ArgMax(want.F[r*n:(r+1)*n]) != diff.ArgMax(got[i].F[r*n:(r+1)*n]) {
					flips++
				}
			}
			share = float64(flips) / float64(rows)
		}
		drop = max(drop, share)
	}
	return drop, noise, nil
}

// with is the drop and noise with these of the layers in int8, and values kept as codes as a conversion would.
func (m *limit) with(static func(weight string) bool) (drop, noise float64, err error) {
	list := keep(m.graph, func(w string) bool { return slices.Contains(m.layers, w) && static(w) })
	p, err := m.int.Mixed(m.float, func(w string) bool { return !static(w) }, func(v string) bool {
		return slices.ContainsFunc(list, func(k kept) bool { return k.value == v && k.stored })
	})
	if err != nil {
		return 0, 0, err
	}
	return m.apart(p)
}

// without is the drop with these layers in float32.
func (m *limit) without(layers []LayerDrop) (drop float64, err error) {
	drop, _, err = m.with(func(w string) bool {
		return !slices.ContainsFunc(layers, func(l LayerDrop) bool { return l.Name == w })
	})
	return drop, err
}

func (m *limit) find() (*Drop, error) {
	d := &Drop{Rows: m.rows.N, Layers: len(m.layers), Float: []LayerDrop{}}
	var err error
	if d.All, _, err = m.apart(mainOf(m.int)); err != nil {
		return nil, err
	}
	if d.After = d.All; d.All <= m.most {
		return d, nil
	}
	h := m.h.orNothing()
	h.Stage("sensitivity")
	var list []LayerDrop
	for i, name := range m.layers {
		_, noise, err := m.with(func(w string) bool { return w == name })
		if err != nil {
			return nil, err
		}
		list = append(list, LayerDrop{name, noise})
		h.Progress(int64(i+1), int64(len(m.layers)))
	}
	slices.SortStableFunc(list, func(a, b LayerDrop) int { return cmp.Compare(b.Noise, a.Noise) })
	// As few of the first as do: doubled, then halved in between.
	low, n := 0, 1
	for {
		n = min(n, len(list))
		drop, err := m.without(list[:n])
		if err != nil {
			return nil, err
		}
		if drop <= m.most || n == len(list) {
			break
		}
		low, n = n, 2*n
	}
	for low+1 < n {
		mid := (low + n) / 2
		drop, err := m.without(list[:mid])
		if err != nil {
			return nil, err
		}
		if drop <= m.most {
			n = mid
		} else {
			low = mid
		}
	}
	// What is converted has biases corrected for what is left in int8: it decides.
	for ; ; n++ {
		o := m.o
		o.Recipe = withFloat(m.o.Recipe, list[:n])
		x, err := m.convert(o, "mixed.qpt", nil)
		if err != nil {
			return nil, err
		}
		d.After, _, err = m.apart(mainOf(x))
		x.Close()
		if err != nil {
			return nil, err
		}
		if d.Float = list[:n]; d.After <= m.most || n == len(list) {
			m.o = o
			return d, nil
		}
	}
}

// withFloat is a recipe with rules for these layers behind its own.
func withFloat(r *format.Recipe, layers []LayerDrop) *format.Recipe {
	out := &format.Recipe{}
	if r != nil {
		*out = *r
	}
	out.Rules = slices.Clone(out.Rules)
	for _, l := range layers {
		out.Rules = append(out.Rules, format.Rule{Match: "^" + regexp.QuoteMeta(l.Name) + "$", Scheme: "f32", Reason: fmt.Sprintf("sensitive: noise %.2g alone", l.Noise)})
	}
	return out
}
