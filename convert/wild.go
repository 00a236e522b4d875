package convert

import (
	"cmp"
	"context"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/linear"
)

// wildReason stands beside layers with wild columns.
const wildReason = "int8, but for the columns with the greatest inputs"

// wildCount is how many wild columns rows of k values have, and how many of them for what the values are: the others for the weights.
func wildCount(k int) (all, inputs int) {
	all = max(min(k/96, 32), 1)
	return all, min(all, 8)
}

// wild finds the columns that make rows of some values, and of weights that multiply them, so wide that int8 is too coarse for the others (numerics N2.5).
type wild struct {
	inputs        map[string]string // which value stands for a value: one of several that layers read which depths share
	rows, weights map[string][]ends // by value
	found         map[string][]int32
}

// ends are the columns of a row with the greatest numbers and with the least ones, these first; zeros are none.
type ends struct{ hi, lo []column }

type column struct {
	k int32
	x float32 // above 0: its distance from it
}

// findWild has the FP32 model read the texts of the references, if a layer is to have wild columns.
func (p *Plan) findWild(ctx context.Context, h Hooks) (err error) {
	w := &wild{map[string]string{}, map[string][]ends{}, map[string][]ends{}, map[string][]int32{}}
	standing := map[string]string{} // by parameter
	for i := range p.Items {
		it := &p.Items[i]
		if it.input == "" {
			continue
		}
		w.rows[it.input], standing[it.Name] = nil, it.input
		k := it.Shape[1]
		if all, inputs := wildCount(k); all > inputs {
			rows := make([]float32, 64*k)
			for r0 := 0; r0 < it.Shape[0]; r0 += 64 {
				n := min(64, it.Shape[0]-r0)
				if err := p.src.ReadRows(it.Name, r0, r0+n, rows); err != nil {
					return err
				}
				for row := range slices.Chunk(rows[:n*k], k) {
					for i, x := range row {
						row[i] = float32(math.Abs(float64(x)))
					}
					w.weights[it.input] = append(w.weights[it.input], endsOf(row, all+1))
				}
			}
		}
	}
	if len(w.rows) == 0 {
		return nil
	}
	for i := range p.graph.Nodes {
		for _, m := range p.graph.Nodes[i].Linears() {
			if input := standing[m.Weight]; input != "" {
				w.inputs[m.Input] = input
			}
		}
	}
	h.Stage("reference")
	p.wild = w
	rows := cmp.Or(p.Opt.References, refRows)
	if rows < 0 { // nobody reads them
		rows = refRows
	}
	p.refs, err = p.references(ctx, rows, w.see)
	return err
}

// see takes the rows of a value.
func (w *wild) see(n *graph.Node, out graph.Tensor) {
	input := w.inputs[n.Out[0]]
	if input == "" {
		return
	}
	list := w.rows[input]
	for r := range out.Rows() {
		_, most := wildCount(len(out.Row(r)))
		list = append(list, endsOf(out.Row(r), most+1)) // one more than may go
	}
	w.rows[input] = list
}

// endsOf are the ends of a row, of each the most.
func endsOf(row []float32, most int) (e ends) {
	for k, x := range row {
		e.hi, e.lo = insert(e.hi, int32(k), x, most), insert(e.lo, int32(k), -x, most)
	}
	return e
}

// insert puts a column among the most greatest.
func insert(list []column, k int32, x float32, most int) []column {
	if !(x > 0) || len(list) == most && x <= list[most-1].x {
		return list
	}
	at := len(list)
	for at > 0 && list[at-1].x < x {
		at--
	}
	return slices.Insert(list[:min(len(list), most-1)], at, column{k, x})
}

// of is the wild columns of a value of k numbers.
func (w *wild) of(value string, k int) []int32 {
	if w.found[value] == nil {
		all, inputs := wildCount(k)
		list := widest(w.weights[value], widest(w.rows[value], nil, inputs), all)
		slices.Sort(list)
		w.found[value] = list
	}
	return w.found[value]
}

// widest adds columns to those chosen, up to n, one after the other that which leaves the squares of the rows' widths the least sum, of equals the first.
func widest(rows []ends, chosen []int32, n int) []int32 {
	left := func(list []column) []column { // the first two that are left
		var two []column
		for _, c := range list {
			if len(two) < 2 && !slices.Contains(chosen, c.k) {
				two = append(two, c)
			}
		}
		return append(two, make([]column, 2-len(two))...)
	}
	for len(chosen) < n {
		gains, best := map[int32]float64{}, int32(-1)
		for _, row := range rows {
			hi, lo := left(row.hi), left(row.lo)
			width := float64(hi[0].x + lo[0].x)
			for _, c := range []struct{ first, second, other column }{{hi[0], hi[1], lo[0]}, {lo[0], lo[1], hi[0]}} {
				if narrow := float64(c.second.x + c.other.x); c.first.x > 0 {
					gains[c.first.k] += width*width - narrow*narrow
				}
			}
		}
		for k, gain := range gains {
			if best < 0 || gain > gains[best] || gain == gains[best] && k < best {
				best = k
			}
		}
		for k := int32(0); best < 0; k++ { // nothing to gain
			if !slices.Contains(chosen, k) {
				best = k
			}
		}
		chosen = append(chosen, best)
	}
	return chosen
}

// takeWild moves the wild columns of rows of block b to where their weights lie, and leaves zeros.
func takeWild(dst *linear.Weight, b int, rows []float32) {
	for i, k := range dst.Wild {
		for r := range len(rows) / dst.K {
			x := &rows[r*dst.K+int(k)]
			dst.WildData[dst.WildAt(16*b+r, i)], *x = *x, 0
		}
	}
}
