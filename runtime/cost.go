package runtime

import (
	"qpt/format/graph"
	"qpt/kernels/attn"
	"qpt/kernels/linear"
	"qpt/kernels/probe"
)

// Cost is the least work of a pass, to hold its time against what the machine can do.
type Cost struct {
	Ops   map[probe.Product]float64 // multiplications and additions by kind; see probe.Peak
	Bytes float64                   // of weights, keys and values, each read once
}

// Cost returns the least work of Append with n tokens when past are in the
// sequence: the matrices times the tokens (the head times the last one), the
// attention under its mask, and every weight, key and value in use read once.
func (m *Model) Cost(past, n int) Cost {
	c := Cost{Ops: map[probe.Product]float64{}}
	rows := map[string]float64{} // of values, by name
	for _, v := range m.Graph.Values {
		r := 1.0
		for _, d := range v.Shape[:len(v.Shape)-1] {
			switch {
			case d >= 0:
				r *= float64(d)
			case m.Graph.Symbols[-1-d] == "T":
				r *= float64(n)
			}
		}
		rows[v.Name] = r
	}
	for i := range m.Graph.Nodes {
		node := &m.Graph.Nodes[i]
		matrices := map[string]float64{} // the rows that each meets; experts share them evenly
		for _, x := range node.Linears() {
			matrices[x.Weight] = rows[node.Out[0]] / float64(len(node.Linears()))
		}
		for _, name := range node.Params {
			t := m.w.byName[name]
			if t == nil {
				continue
			}
			var bytes float64
			for _, p := range t.Parts {
				bytes += float64(p.Size)
			}
			if _, ok := node.Op.(graph.Embedding); ok {
				bytes *= float64(n) / float64(t.Shape[0])
			}
			if r, ok := matrices[name]; ok {
				bytes *= min(1, r) // an expert that no row meets is not read
				if s, err := linear.ParseScheme(t.Scheme); err == nil && len(t.Shape) == 2 {
					c.Ops[probe.Product{Acts: s.Form, Weights: linear.Format(t.Format)}] += 2 * r * float64(t.Shape[0]) * float64(t.Shape[1])
				}
			}
			c.Bytes += bytes
		}
		if a, ok := node.Op.(graph.Attention); ok {
			form, size := linear.ABF16, 2.0
			switch m.kv {
			case attn.KVF32:
				form, size = linear.AF32, 4
			case attn.KVI8:
				size = 1
			}
			pairs, longest := seen(a.Mask, past, n)
			c.Ops[probe.Product{Acts: form}] += 2 * float64(a.Heads*(a.HeadDim+a.ValueDim())) * pairs
			c.Bytes += float64((a.Operands()-1)*a.KVHeads*a.HeadDim) * size * float64(longest)
		}
	}
	return c
}

// seen counts the pairs of query and position under a mask, and the positions
// that any of the queries sees.
func seen(mask graph.Mask, past, n int) (pairs float64, positions int) {
	total := past + n
	if mask.Kind != "causal" {
		return float64(n) * float64(total), total
	}
	for q := past; q < total; q++ {
		visible := q + 1
		if mask.Window > 0 {
			visible = min(visible, mask.Window)
		}
		pairs += float64(visible)
	}
	positions = total
	if mask.Window > 0 {
		positions = min(total, mask.Window+n-1)
	}
	return pairs, positions
}

// Mapped returns the sections that hold weights, gone after Close.
func (m *Model) Mapped() (list [][]byte) {
	for i, s := range m.File.Sections() {
		if !m.w.used[s.Name] {
			continue
		}
		if b, err := m.File.Data(i); err == nil { // Load has read them all
			list = append(list, b)
		}
	}
	return list
}
