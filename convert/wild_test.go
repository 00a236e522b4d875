package convert

import (
	"slices"
	"testing"

	"qpt/format/graph"
)

// TestWild: columns are chosen one after the other as they leave rows narrower, whichever sign they have; what no row has gives way to the first.
func TestWild(t *testing.T) {
	rows := make([]float32, 3*64)
	for i := range rows {
		rows[i] = float32(i%2) - 0.5
	}
	rows[5], rows[64+5], rows[128+9] = 8, 7, -20 // 9 is the widest of one row, 5 of two
	rows[128+40] = 19                            // hidden behind 9 only on the other side
	w := &wild{rows: map[string][]ends{"v": nil}}
	w.see(&graph.Node{Out: []string{"v"}}, graph.Tensor{Shape: []int{3, 64}, F: rows})
	w.see(&graph.Node{Out: []string{"other"}}, graph.Tensor{Shape: []int{3, 64}, F: rows})
	if len(w.rows) != 1 || len(w.rows["v"]) != 3 {
		t.Fatalf("rows of %d values are kept", len(w.rows))
	}
	list := []ends{}
	for r := range 3 {
		list = append(list, endsOf(rows[64*r:][:64], 4))
	}
	for n, want := range [][]int32{1: {9}, 2: {9, 40}, 3: {9, 40, 5}} {
		if got := widest(list, nil, n); !slices.Equal(got, want) {
			t.Errorf("%d of 64 columns: %v, want %v", n, got, want)
		}
	}
	if got := widest(make([]ends, 4), []int32{1}, 3); !slices.Equal(got, []int32{1, 0, 2}) {
		t.Errorf("of rows of zeros: %v", got)
	}
}
