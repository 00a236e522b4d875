package graph_test

import (
	"testing"

	. "qpt/format/graph"
)

func TestBatchRows(t *testing.T) {
	b := Batch{Parts: []Part{{N: 3, Rows: []int32{0, 2}}, {N: 1}, {N: 4, Rows: []int32{3}}}}
	if n, r := b.Rows(); n != 8 || r != 3 {
		t.Errorf("T %d, R %d; want 8, 3", n, r)
	}
}
