package ref

import (
	"fmt"

	"qpt/format/graph"
)

// part is a part of the batch and the sequence it belongs to.
type part struct {
	seq     *Sequence // nil: alone
	pos, n  int       // first position, rows
	end     int       // positions when the append is done
	r0, w0  int       // first row among all T, first wanted row among all R
	rows    []int32   // wanted
	symbols [3]int    // extents of T, R and S
}

// Symbols that count rows of parts.
const (
	symT = "T"
	symR = "R"
	symS = "S" // one a part
)

// rowsOf tells whether a value has rows of parts: 0 for T, 1 for R, 2 for S, else -1.
func (r *run) rowsOf(shape []graph.Dim) int {
	if len(shape) > 0 && shape[0] < 0 {
		switch r.g.Symbols[-1-shape[0]] {
		case symT:
			return 0
		case symR:
			return 1
		case symS:
			return 2
		}
	}
	return -1
}

// bind checks the batch and makes the graph's inputs of it.
func (r *run) bind(b *graph.Batch, live map[string][]graph.Tensor) error {
	known := map[string]bool{}
	counts := false
	for _, v := range r.g.Inputs {
		known[v.Name] = v.Name != "pos" && v.Name != "rows"
		counts = counts || r.rowsOf(v.Shape) >= 0
	}
	if counts && len(b.Parts) == 0 {
		return fmt.Errorf("the batch has no parts: no rows to run")
	}
	if !counts && len(b.Parts) > 0 {
		return fmt.Errorf("the graph has no rows of tokens (symbol T), the batch has %d parts", len(b.Parts))
	}
	for name := range b.Inputs {
		if !known[name] {
			return fmt.Errorf("the batch gives %q, which is no input of the graph to be given", name)
		}
	}
	if err := r.bindParts(b); err != nil {
		return err
	}
	r.extents = make([]int, len(r.g.Symbols))
	for i := range r.extents {
		r.extents[i] = -1
	}
	for _, v := range r.g.Inputs {
		if !known[v.Name] {
			which := r.rowsOf(v.Shape)
			if v.DType != graph.Int || len(v.Shape) != 1 || which != map[string]int{"pos": 0, "rows": 1}[v.Name] {
				return fmt.Errorf("graph input %q is %s %s, must be i32 %s", v.Name, v.DType, r.g.ShapeString(v.Shape), map[string]string{"pos": "[T]", "rows": "[R]"}[v.Name])
			}
			for _, p := range r.parts {
				x := append([]int32{}, p.rows...)
				if which == 0 {
					x = make([]int32, p.n)
					for i := range x {
						x[i] = int32(p.pos + i)
					}
				}
				live[v.Name] = append(live[v.Name], graph.Tensor{Shape: []int{len(x)}, I: x})
			}
			continue
		}
		t, ok := b.Inputs[v.Name]
		if !ok {
			return fmt.Errorf("input %q %s %s is missing", v.Name, v.DType, r.g.ShapeString(v.Shape))
		}
		if err := r.fits(v, t); err != nil {
			return err
		}
		which := r.rowsOf(v.Shape)
		if which < 0 {
			live[v.Name] = []graph.Tensor{t}
			continue
		}
		width := 1
		for _, d := range t.Shape[1:] {
			width *= d
		}
		for i, p := range r.parts {
			from := [3]int{p.r0, p.w0, i}[which]
			x := graph.Tensor{Shape: append([]int{p.symbols[which]}, t.Shape[1:]...)}
			if v.DType == graph.Int {
				x.I = t.I[from*width : (from+x.Shape[0])*width]
			} else {
				x.F = t.F[from*width : (from+x.Shape[0])*width]
			}
			live[v.Name] = append(live[v.Name], x)
		}
	}
	return nil
}

func (r *run) bindParts(b *graph.Batch) error {
	whole := false
	for _, n := range r.g.Nodes {
		switch op := n.Op.(type) {
		case graph.Attention:
			whole = whole || op.Cache == "" && r.rowsOf(r.values[n.Out[0]].Shape) >= 0
		case graph.SequencePool:
			whole = true
		}
	}
	seen := map[*Sequence]bool{}
	r0, w0 := 0, 0
	for i, from := range b.Parts {
		p := part{n: from.N, end: from.End, r0: r0, w0: w0, rows: from.Rows, symbols: [3]int{from.N, len(from.Rows), 1}}
		if p.n <= 0 {
			return fmt.Errorf("part %d of the batch has %d rows: no tokens to run", i, p.n)
		}
		if from.Seq != nil {
			seq, ok := from.Seq.(*Sequence)
			if !ok || seq.g != r.g {
				return fmt.Errorf("part %d: its sequence belongs to another graph or executor", i)
			}
			if seen[seq] {
				return fmt.Errorf("part %d: a sequence can be in one part of a pass only", i)
			}
			if whole && seq.n > 0 {
				return fmt.Errorf("this model attends to all tokens at once: %d tokens after %d must be one pass on an empty sequence", p.n, seq.n)
			}
			seen[seq] = true
			p.seq, p.pos = seq, seq.n
		}
		p.end = max(p.end, p.pos+p.n)
		last := int32(-1)
		for _, row := range p.rows {
			if row <= last || int(row) >= p.n {
				return fmt.Errorf("part %d: rows wanted are %v: must ascend within 0 to %d", i, p.rows, p.n-1)
			}
			last = row
		}
		r.parts = append(r.parts, p)
		r0, w0 = r0+p.n, w0+len(p.rows)
	}
	return nil
}

// fits holds a tensor given against the input; it sets symbols that are met for the first time.
func (r *run) fits(v graph.Value, t graph.Tensor) error {
	n, ok := 1, len(t.Shape) == len(v.Shape)
	for j := 0; ok && j < len(v.Shape); j++ {
		d := int(v.Shape[j])
		if which := r.rowsOf(v.Shape[j : j+1]); which >= 0 {
			d = 0
			for _, p := range r.parts {
				d += p.symbols[which]
			}
		} else if d < 0 {
			at := &r.extents[-1-d]
			if *at < 0 {
				*at = t.Shape[j]
			}
			d = *at
		}
		ok = t.Shape[j] == d && d >= 0
		n *= d
	}
	if !ok {
		return fmt.Errorf("input %q has shape %v, must be %s", v.Name, t.Shape, r.g.ShapeString(v.Shape))
	}
	if v.DType == graph.Int && len(t.I) != n || v.DType == graph.Float && len(t.F) != n {
		return fmt.Errorf("input %q of shape %v has %d floats and %d integers, must have %d of type %s", v.Name, t.Shape, len(t.F), len(t.I), n, v.DType)
	}
	return nil
}

// alloc returns a value yet to be computed: a tensor for each part, or one.
func (r *run) alloc(value string) []graph.Tensor {
	v := r.values[value]
	which := r.rowsOf(v.Shape)
	list := make([]graph.Tensor, 1)
	if which >= 0 {
		list = make([]graph.Tensor, len(r.parts))
	}
	for s := range list {
		t := &list[s]
		n := 1
		for j, d := range v.Shape {
			e := int(d)
			if j == 0 && which >= 0 {
				e = r.parts[s].symbols[which]
			} else if d < 0 {
				e = r.extents[-1-d]
			}
			t.Shape = append(t.Shape, e)
			n *= e
		}
		if v.DType == graph.Int {
			t.I = make([]int32, n)
		} else if r.spare != nil {
			t.F = r.spare.Get(n)
		} else {
			t.F = make([]float32, n)
		}
	}
	return list
}
