package runtime

import (
	"errors"
	"fmt"
	"unsafe"

	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/internal/par"
	"qpt/kernels/linear"
	"qpt/runtime/exec"
)

// weights finds the tensors of a file for the executor; the slices point into the mapping.
type weights struct {
	f      *format.File
	used   map[string]bool // sections that tensors lie in
	byName map[string]*format.Tensor
	static map[string]format.Activation // by value
	orders [][]int32                    // of matrices of codes, each once: layers of one share their rows
	wilds  [][]int32                    // likewise of lists of wild columns
}

func newWeights(f *format.File, threads int) (*weights, error) {
	tensors, err := f.Tensors()
	if err != nil {
		return nil, err
	}
	acts, err := f.Activations()
	if err != nil {
		return nil, err
	}
	w := &weights{f: f, used: map[string]bool{}, byName: map[string]*format.Tensor{}, static: map[string]format.Activation{}}
	for i := range tensors {
		w.byName[tensors[i].Name] = &tensors[i]
		for _, p := range tensors[i].Parts {
			w.used[p.Section] = true
		}
	}
	// Checksums (and decoding, in the transport form) run at memory speed on
	// all cores; layer by layer they would run on one.
	sections := f.Sections()
	errs := make([]error, len(sections))
	par.For(threads, len(sections), func(_, i int) {
		if w.used[sections[i].Name] {
			_, errs[i] = f.Data(i)
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, a := range acts {
		w.static[a.Value] = a
	}
	return w, nil
}

func (w *weights) find(name string) (*format.Tensor, error) {
	t := w.byName[name]
	if t == nil {
		return nil, fmt.Errorf("%w: %s: tensor %q is in the graph but not in the file", format.ErrCorrupt, w.f.Path(), name)
	}
	return t, nil
}

// Linear implements exec.Weights.
func (w *weights) Linear(name, bias string) (exec.Layer, error) {
	var none exec.Layer
	t, err := w.find(name)
	if err != nil {
		return none, err
	}
	bad := func(s string, v ...any) (exec.Layer, error) {
		return none, fmt.Errorf("%w: %s: tensor %q: %s", format.ErrCorrupt, w.f.Path(), name, fmt.Sprintf(s, v...))
	}
	scheme, err := linear.ParseScheme(t.Scheme)
	if err != nil {
		return bad("%v", err)
	}
	f := linear.Format(t.Format)
	if t.Format == format.I8Wild {
		f = linear.I8
	}
	if !scheme.Compatible(f) {
		return bad("scheme %s cannot be stored as %v", t.Scheme, t.Format)
	}
	if len(t.Shape) != 2 || t.Layout != format.LayoutN16K4 {
		return bad("shape %v in layout %d is no linear layer of this version", t.Shape, t.Layout)
	}
	m := &linear.Weight{Format: f, N: t.Shape[0], K: t.Shape[1], Group: t.Group}
	if f == linear.Codes {
		if err := w.coded(t, m); err != nil {
			return bad("%v", err)
		}
	}
	for _, p := range t.Parts {
		b, err := w.f.Part(p)
		if err != nil {
			return none, err
		}
		switch p.Role {
		case format.RoleGOffset, format.RoleSuper, format.RoleSuperOffs, format.RoleTable, format.RoleOrder: // see coded
		case format.RoleData:
			m.Data = b
		case format.RoleGroups:
			if f != linear.Codes {
				m.Groups = b
			}
		case format.RoleGScale:
			if f != linear.Codes {
				m.GroupScale = view[float32](b)
			}
		case format.RoleScale:
			m.Scale = view[float32](b)
		case format.RoleSum:
			m.Sum = view[int32](b)
		case format.RoleWild:
			m.Wild = once(&w.wilds, view[int32](b))
		case format.RoleWildW:
			m.WildData = view[float32](b)
		default:
			return bad("part %q is unknown", p.Role)
		}
	}
	if bias != "" {
		v, err := w.Vector(bias)
		if err != nil {
			return none, err
		}
		if len(v) != m.N {
			return bad("its bias %q has %d values, want %d", bias, len(v), m.N)
		}
		m.Bias = make([]float32, num.Pad(m.N, 16))
		copy(m.Bias, v)
	}
	if err := m.Check(); err != nil {
		return bad("%v", err)
	}
	if !finite(m.Scale) || !finite(m.GroupScale) || !finite(m.WildData) {
		return none, fmt.Errorf("%s: tensor %q: %w: a scale or a wild column's weight is not finite", w.f.Path(), name, format.ErrData)
	}
	form := scheme.Form
	if f == linear.Codes {
		form = m.Coded.Form()
	}
	return exec.Layer{Weight: m, Form: form, Static: scheme.Static}, nil
}

// recorder notes the layers that a program is compiled with.
type recorder struct {
	*weights
	layers []namedLayer
}

type namedLayer struct {
	name string
	exec.Layer
}

// Linear implements exec.Weights.
func (r *recorder) Linear(name, bias string) (exec.Layer, error) {
	l, err := r.weights.Linear(name, bias)
	r.layers = append(r.layers, namedLayer{name, l})
	return l, err
}

// Static implements exec.Weights.
func (w *weights) Static(value string) (scale float32, zero int32, err error) {
	a, ok := w.static[value]
	if !ok {
		return 0, 0, fmt.Errorf("%w: %s: a layer of scheme s8s8 reads value %q, which has no entry in section %q", format.ErrCorrupt, w.f.Path(), value, "activations")
	}
	return a.Scale, a.Zero, nil
}

// Stored implements exec.Weights.
func (w *weights) Stored(value string) (scale float32, zero int32, ok bool) {
	a := w.static[value]
	return a.Scale, a.Zero, a.Stored
}

// checkStatic tells whether s8s8 layers read every value in the section "activations".
func (w *weights) checkStatic(graphs []*graph.Graph) error {
	read := map[string]bool{}
	for _, g := range graphs {
		for i := range g.Nodes {
			for _, m := range g.Nodes[i].Linears() {
				if w.byName[m.Weight].Scheme == "s8s8" {
					read[m.Input] = true
				}
			}
		}
	}
	for value, a := range w.static {
		if !read[value] && !a.Stored {
			return fmt.Errorf("%w: %s: section %q: no layer of scheme s8s8 reads value %.40q", format.ErrCorrupt, w.f.Path(), "activations", value)
		}
	}
	return nil
}

// Vector implements exec.Weights.
func (w *weights) Vector(name string) ([]float32, error) {
	t, err := w.find(name)
	if err != nil {
		return nil, err
	}
	if t.Format != format.PlainF32 {
		return nil, fmt.Errorf("%w: %s: tensor %q is %v %v, want plain f32", format.ErrCorrupt, w.f.Path(), name, t.Format, t.Shape)
	}
	p, _ := t.Part(format.RoleData)
	b, err := w.f.Part(p)
	if err != nil {
		return nil, err
	}
	v := view[float32](b)
	if !finite(v) {
		return nil, fmt.Errorf("%s: tensor %q: %w: it holds NaN or infinity", w.f.Path(), name, format.ErrData)
	}
	return v, nil
}

// finite tells whether v holds no NaN and no infinity.
func finite(v []float32) bool {
	var sum float32
	for _, x := range v {
		sum += x - x // 0, or NaN for ever
	}
	return sum == 0
}

// view reinterprets mapped bytes; parts are 64-byte aligned and little-endian, as is every machine this runs on.
func view[T float32 | int32](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/4)
}

// Linear implements exec.Weights.
func (m *Model) Linear(name, bias string) (exec.Layer, error) { return m.w.Linear(name, bias) }

// Vector implements exec.Weights.
func (m *Model) Vector(name string) ([]float32, error) { return m.w.Vector(name) }

// Static implements exec.Weights.
func (m *Model) Static(value string) (scale float32, zero int32, err error) { return m.w.Static(value) }

// Stored implements exec.Weights.
func (m *Model) Stored(value string) (scale float32, zero int32, ok bool) { return m.w.Stored(value) }

// Tensor returns the directory's entry for a parameter, nil if there is none.
func (m *Model) Tensor(name string) *format.Tensor { return m.w.byName[name] }

// Activation returns the range of a value that s8s8 layers read.
func (m *Model) Activation(value string) (a format.Activation, ok bool) {
	a, ok = m.w.static[value]
	return a, ok
}
