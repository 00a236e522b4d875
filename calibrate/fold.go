package calibrate

import "qpt/format/graph"

// Folded is a model whose parameters are scaled without changing what it
// computes: W'[n, k] = W[n, k] * Row[n] * Col[k]. The scales of one site
// cancel: what divides a norm's weight or a layer's rows multiplies the columns of all its readers.
type Folded struct {
	Source graph.Source
	// By parameter, nil entries for 1. A parameter of rank 1 has Col only.
	Row, Col map[string][]float32
	// Column is which of Col meets value k of row n of a matrix; nil: k.
	Column map[string]func(n, k int) int
	// By value of the graph, what its channels are divided by.
	Value map[string][]float32
	// By parameter of rank 1, what is added before it is scaled: it does change what the model computes (bias.go).
	Add map[string][]float32
}

// add adds what is to be added to a parameter.
func (f *Folded) add(name string, dst []float32) {
	for i, v := range f.Add[name] {
		dst[i] += v
	}
}

// ReadRows reads scaled rows.
func (f *Folded) ReadRows(name string, r0, r1 int, dst []float32) error {
	if err := f.Source.ReadRows(name, r0, r1, dst); err != nil {
		return err
	}
	f.Apply(name, r0, r1, dst)
	return nil
}

// Apply scales rows r0..r1 of a parameter.
func (f *Folded) Apply(name string, r0, r1 int, dst []float32) {
	f.add(name, dst)
	row, col := f.Row[name], f.Col[name]
	if row == nil && col == nil {
		return
	}
	k := len(dst) / (r1 - r0)
	for n := r0; n < r1; n++ {
		x := dst[(n-r0)*k : (n-r0+1)*k]
		if row != nil {
			for i := range x {
				x[i] *= row[n]
			}
		}
		if of := f.Column[name]; of != nil {
			for i := range x {
				x[i] *= col[of(n, i)]
			}
		} else if col != nil {
			for i := range x {
				x[i] *= col[i]
			}
		}
	}
}

// fold divides the input of a site by s [K]: its readers' columns are
// multiplied. It returns what the rows of the site's maker are divided by, nil if it has none.
func (f *Folded) fold(t *site, s []float32) (rows []float32) {
	scale(f.Value, t.value, s, false)
	for _, r := range t.readers {
		scale(f.Col, r.Weight, s, false)
	}
	switch {
	case t.norm != "":
		scale(f.Col, t.norm, s, true)
	case t.maker != nil:
		rows = make([]float32, t.width)
		for k, r := range t.from {
			rows[r] = s[k]
		}
		scale(f.Value, t.maker.Out[0], rows, false)
		scale(f.Row, t.maker.Params[0], rows, true)
		if bias := t.maker.Params[1]; bias != "" {
			scale(f.Col, bias, rows, true)
		}
	}
	return rows
}

// scale multiplies the scales of a parameter by s, or divides them.
func scale(m map[string][]float32, name string, s []float32, invert bool) {
	v := m[name]
	if v == nil {
		v = make([]float32, len(s))
		for i := range v {
			v[i] = 1
		}
		m[name] = v
	}
	for i, x := range s {
		if invert {
			v[i] /= x
		} else {
			v[i] *= x
		}
	}
}
