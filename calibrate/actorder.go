package calibrate

import (
	"cmp"
	"slices"
)

// Act-order of GPTQ, with static groups: the columns are rounded from the
// greatest mean square of the input to the least, so that the errors that matter most
// still find all others to be made up by. A group is where it always is along K, and its zero
// and gscale are chosen beforehand; so the file holds no order and running it takes no index (g_idx).

// Wild columns, which are not rounded, come behind all others: they make up for what these leave.

// columns are those of a weight [N][K] as they are rounded.
type columns struct {
	order []int   // [K] place by place, nil: as they are
	wild  []int32 // those that are not rounded, ascending; the last of order
}

// byImportance orders them by falling diag, equal ones as they are.
func (c columns) byImportance(diag []float32) columns {
	c.order = make([]int, len(diag))
	for k := range c.order {
		c.order[k] = k
	}
	is := make([]int, len(diag))
	for _, k := range c.wild {
		is[k] = 1
	}
	slices.SortStableFunc(c.order, func(a, b int) int { return cmp.Or(is[a]-is[b], cmp.Compare(diag[b], diag[a])) })
	return c
}

// column is where place k is in the weight.
func (c columns) column(k int) int {
	if c.order == nil {
		return k
	}
	return c.order[k]
}

// permuted puts rows and columns of a square matrix in this order.
func (m matrix) permuted(order []int, threads int) matrix {
	p := newMatrix(len(m), len(m))
	tiles(threads, len(m), 16, func(i0, i1 int) {
		for i := i0; i < i1; i++ {
			row := m[order[i]]
			for j, k := range order {
				p[i][j] = row[k]
			}
		}
	})
	return p
}
