package convert

import (
	"bytes"
	"os"
	"path/filepath"
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
	w := &wild{inputs: map[string]string{"v": "v"}, rows: map[string][]ends{"v": nil}}
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

// TestFit: what the tokenizer puts round a text lies round made ones, an encoder's int8 layers are rounded on them, with other weights in wild columns,
// and threads change nothing.
func TestFit(t *testing.T) {
	const dir, layer = "../testdata/families/bert", "bert.encoder.layer.0.output.dense.weight"
	var files [2][]byte
	for i, threads := range []int{1, 3} {
		out := filepath.Join(t.TempDir(), "m.qpt")
		p, err := MakePlan(Options{In: dir, Scheme: "da8w8", Out: out, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Run(t.Context(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		text, err := p.fitTexts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if refs := len(p.refs.Cases); len(text.seqs) < refs+200 {
			t.Errorf("%d texts, %d of them the references'", len(text.seqs), refs)
		}
		before, behind := p.tok.Around()
		if len(before) == 0 || len(behind) == 0 {
			t.Fatalf("round a text are %v and %v", before, behind)
		}
		for _, ids := range text.seqs {
			if !slices.Equal(ids[:len(before)], before) || !slices.Equal(ids[len(ids)-len(behind):], behind) {
				t.Fatalf("%v is not between %v and %v", ids, before, behind)
			}
			if len(ids) == 0 || len(ids) > p.Model.MaxPos || int(slices.Max(ids)) >= p.Model.Vocab || slices.Min(ids) < 0 {
				t.Fatalf("a text of %d tokens: %v", len(ids), ids)
			}
		}
		w := p.cal.Weights[layer]
		if w == nil || len(w.Wild) == 0 {
			t.Fatalf("%s is not rounded on texts", layer)
		}
		rows := make([]float32, w.N*w.K)
		if err := p.src.ReadRows(layer, 0, w.N, rows); err != nil {
			t.Fatal(err)
		}
		same := true
		for n := range w.N {
			for j, k := range w.Wild {
				same = same && rows[n*w.K+int(k)] == w.WildData[(n/16*len(w.Wild)+j)*16+n%16]
			}
		}
		if same {
			t.Error("wild columns make up for nothing")
		}
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("another number of threads gives another file")
	}
}

// TestFitShared: layers that depths share are rounded once on the inputs of all depths, and what reads a value has the same wild columns.
func TestFitShared(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../testdata/families/albert")); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.Replace(config, []byte(`"num_hidden_layers": 2`), []byte(`"num_hidden_layers": 6`), 1) // three for each of two groups
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := MakePlan(Options{In: dir, Scheme: "da8w8", Out: filepath.Join(t.TempDir(), "m.qpt")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), Hooks{}); err != nil {
		t.Fatal(err)
	}
	text, err := p.fitTexts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tokens := 0
	for _, ids := range text.seqs {
		tokens += len(ids)
	}
	uses, wilds := map[string]int{}, map[string][]int32{}
	for i := range p.graph.Nodes {
		for _, m := range p.graph.Nodes[i].Linears() {
			uses[m.Weight]++
			w := p.cal.Weights[m.Weight]
			if w == nil {
				continue
			}
			if have, ok := wilds[m.Input]; ok && !slices.Equal(have, w.Wild) {
				t.Errorf("%s has the wild columns %v, others that read %s have %v", m.Weight, w.Wild, m.Input, have)
			}
			wilds[m.Input] = w.Wild
		}
	}
	shared := 0
	for _, s := range p.cal.Sites {
		if uses[s.Reader] > 1 {
			shared++
		}
		if uses[s.Reader] > 1 && s.Rows != uses[s.Reader]*tokens {
			t.Errorf("%s is rounded on %d rows, want those of %d tokens in %d depths", s.Reader, s.Rows, tokens, uses[s.Reader])
		}
	}
	if want := 4 * 4; shared != want { // before and behind attention, before and within the MLP, of two groups of two layers
		t.Errorf("%d values of shared layers, want %d", shared, want)
	}
}
