package calibrate

import (
	"fmt"

	"qpt/runtime/ref"
)

// Experts. Those of a mixture see the rows that are routed to them, some many, some hardly any. What the rows of an
// expert say counts as far as there are enough of them, n for K inputs:
//
//	H[i][j] *= a  (i != j),  D *= a,  a = n/(n + K/8)
//	H[i][i]  = (n*H[i][i] + 16*mean of the diagonal) / (n + 16)
//
// so that with few rows correlations fade and inputs become equals, and an expert that the text never reaches is rounded
// to nearest. (a*H + (1-a)*diag(H) is definite where H is, and 16/(n+16) is at most 1-a from K = 128 on.)

// rows are the rows of the site's value that its readers meet, in the rounded model, and what the FP32 model has in their
// places if it walks beside. Where that routes a token elsewhere, its own row is not to be had: the difference counts as none.
func (t *site) rows(p *part) (x, y matrix) {
	if t.routing == nil {
		x = rows(p.rounded.Value(t.value), t.k)
		if p.exact != nil {
			y = rows(p.exact.Value(t.value), t.k)
		}
		return x, y
	}
	for s, v := range p.rounded.Value(t.value) {
		have := rowsOf(v.F, t.k)
		idx := t.index(p.rounded, s)
		n := max(len(idx), len(have))
		for i := range n {
			if t.routing.Of(idx, i) != t.expert {
				continue
			}
			x = append(x, have[i*len(have)/n])
			if p.exact == nil {
				continue
			}
			at, there := i*len(have)/n, rowsOf(p.exact.Value(t.value)[s].F, t.k)
			if len(have) == n && idx != nil { // rows of choices
				at = t.choice(t.index(p.exact, s), i, len(idx)/max(1, v.Shape[0]))
			}
			if at < 0 {
				y = append(y, x[len(x)-1])
			} else {
				y = append(y, there[at])
			}
		}
	}
	return x, y
}

// index is what routes the rows of part s of a walk, nil if it is their place.
func (t *site) index(w *ref.Walk, s int) []int32 {
	if t.idx == "" {
		return nil
	}
	return w.Value(t.idx)[s].I
}

// choice is the place of the expert among the choices of the token of choice i, -1 if it is none of them.
func (t *site) choice(idx []int32, i, choices int) int {
	first := i / choices * choices
	for j, e := range idx[first : first+choices] {
		if int(e) == t.expert {
			return first + j
		}
	}
	return -1
}

// scarce makes moments of an expert count as far as its rows go.
func (m *moments) scarce(threads int) {
	n := float64(m.tokens)
	a := float32(n / (n + float64(m.k)/8))
	mean := 0.0
	for i := range m.k {
		mean += float64(m.h[i][i]) / float64(m.k)
	}
	if n == 0 {
		mean = 1
	}
	tiles(threads, m.k, tile, func(i0, i1 int) {
		for i := i0; i < i1; i++ {
			own := float64(m.h[i][i])
			for j := range m.h[i] {
				m.h[i][j] *= a
				if m.d != nil {
					m.d[i][j] *= a
				}
			}
			m.h[i][i] = float32((n*own + 16*mean) / (n + 16))
		}
	})
}

// fewRows is how many rows an expert of k inputs should have.
func fewRows(k int) int { return max(k/8, 16) }

// seldom is the note about experts that the text seldom reaches.
func (r *Result) seldom() string {
	all, few, never := 0, 0, 0
	for _, s := range r.Sites {
		if !s.Expert {
			continue
		}
		all++
		if s.Rows < fewRows(s.Inputs) {
			few++
		}
		if s.Rows == 0 {
			never++
		}
	}
	if few == 0 {
		return ""
	}
	return fmt.Sprintf("of %d inputs of experts, the calibration text gave %d fewer rows than an eighth of their channels, and %d none: their weights are rounded more nearly as without text; more text, or more kinds of it, would help", all, few, never)
}
