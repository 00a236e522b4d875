package convert

import (
	"slices"
	"testing"

	"qpt/format/graph"
	"qpt/runtime/ref"
)

// zeroSource gives zeros.
type zeroSource struct{}

func (zeroSource) ReadRows(_ string, _, _ int, dst []float32) error { clear(dst); return nil }

// TestExperts: how often a token meets the matrices of a mixture, and which rows each multiplies.
func TestExperts(t *testing.T) {
	b := graph.NewBuilder()
	n := b.Symbol("T")
	x, idx := b.Input("x", graph.Float, n, 3), b.Input("idx", graph.Int, n, 2)
	names := func(prefix string, rows, k int) (list []string) {
		for i := range 4 {
			list = append(list, b.Param(prefix+string(rune('0'+i)), rows, k))
		}
		return list
	}
	up := b.Node("up", graph.ExpertLinear{Experts: 4}, []string{b.Linear("fc", x, b.Param("w", 3, 3), ""), idx}, names("up", 5, 3)...)
	b.Output("y", b.Node("down", graph.ExpertLinear{Experts: 4}, []string{up, idx}, names("down", 3, 5)...))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	m := g.Turns()
	for name, want := range map[string]float64{"w": 1, "up0": 0.5, "up3": 0.5, "down1": 0.5, "x": 0} {
		if m[name] != want {
			t.Errorf("%s: %v times a token, want %v", name, m[name], want)
		}
	}
	tables, heads, matrices := roles(g)
	if len(tables) != 0 || len(heads) != 4 || !heads["down2"] || len(matrices) != 9 {
		t.Errorf("%v %v %v", tables, heads, matrices)
	}

	in := map[string]graph.Tensor{"x": {Shape: []int{3, 3}, F: make([]float32, 9)}, "idx": {Shape: []int{3, 2}, I: []int32{0, 1, 1, 3, 3, 0}}}
	w, err := ref.Start(g, zeroSource{}, &graph.Batch{Parts: []graph.Part{{N: 2}, {N: 1}}, Inputs: in}, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, node := range []string{"fc", "up", "down"} {
		if err := w.Advance(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		rows := func(weight string) (at []int) { // indices in the value that is read
			all := map[*float32]int{}
			k := 0
			for _, v := range w.Value(g.Nodes[i].In[0]) {
				for r := range v.Rows() {
					all[&v.Row(r)[0]] = k
					k++
				}
			}
			for _, row := range inputs(w, &g.Nodes[i], weight) {
				at = append(at, all[&row[0]])
			}
			return at
		}
		for weight, want := range map[string]map[string][]int{
			"fc": {"w": {0, 1, 2}}, "up": {"up0": {0, 2}, "up1": {0, 1}, "up2": nil, "up3": {1, 2}}, "down": {"down0": {0, 5}, "down1": {1, 2}, "down3": {3, 4}},
		}[node] {
			if got := rows(weight); !slices.Equal(got, want) {
				t.Errorf("%s reads rows %v, want %v", weight, got, want)
			}
		}
	}
}
