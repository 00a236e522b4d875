package calibrate

import (
	"cmp"
	"slices"
)

// Act-order of GPTQ, with static groups: the columns are rounded from the
// greatest mean square of the input to the least, so that the errors that matter most
// still find all others to be made up by. A group is where it always is along K, and its zero
// and gscale are chosen beforehand; so the file holds no order and running it takes no index (g_idx).

// byImportance are the columns by falling diag, equal ones as they are, and wild ones behind all others: they make up for what these leave.
func byImportance(diag []float32, wild ...int32) []int {
	order := make([]int, len(diag))
	for k := range order {
		order[k] = k
	}
	is := make([]int, len(diag))
	for _, k := range wild {
		is[k] = 1
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Or(is[a]-is[b], cmp.Compare(diag[b], diag[a])) })
	return order
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

// column is where column k of ut is in the weight.
func (j *job) column(k int) int {
	if j.order == nil {
		return k
	}
	return j.order[k]
}
