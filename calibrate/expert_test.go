package calibrate

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
)

// mixture is a small random model with experts, and token sequences.
func mixture(t *testing.T, family string, seqs int) (*graph.Graph, graph.Source, [][]int32) {
	t.Helper()
	dir := "../testdata/families/" + family
	m, err := hf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := sttest.Open(t, dir)
	rng := rand.New(rand.NewPCG(5, 5))
	var list [][]int32
	for range seqs {
		ids := []int32{1}
		for range 63 {
			ids = append(ids, int32(3+rng.IntN(80)))
		}
		list = append(list, ids)
	}
	return m.Graph, graph.Views(m.Graph, c), list
}

// TestExperts: each expert is calibrated with the rows routed to it, which on other tokens is better than nearest by far;
// results do not depend on threads; heads of latent attention are calibrated as experts are.
func TestExperts(t *testing.T) {
	for family, per := range map[string]int{"qwen3_moe": 2 * 4 * 3, "granitemoe": 2 * 4 * 3, "deepseek_v2": 2*8*3 + 3*5*2} {
		g, src, ids := mixture(t, family, 24)
		routers := map[string]bool{}
		routed := 0
		for i := range g.Nodes {
			for _, x := range g.Nodes[i].Linears() {
				routers[x.Weight] = strings.Contains(x.Weight, ".mlp.gate.weight") || strings.Contains(x.Weight, "router") || x.Weight == "lm_head.weight"
				if x.Routed {
					routed++
				}
			}
		}
		target := func(p string) (Target, bool) {
			router, ok := routers[p]
			return Target{Format: linear.I4, Group: 16, Form: linear.A8}, ok && !router
		}
		base := compare(t, g, src, packed{src, nearestWeights(t, g, src, target)}, ids[20:]).KL()
		opt := Options{Seqs: ids[:20], Target: target, GPTQ: true, Sweeps: 4, Correct: true, Threads: 2}
		res, err := Run(context.Background(), g, src, opt)
		if err != nil {
			t.Fatal(err)
		}
		kl := compare(t, g, src, packed{res.Source, res.Weights}, ids[20:]).KL()
		t.Logf("%s: KL %.4f, to nearest %.4f", family, kl, base)
		if kl > 0.9*base {
			t.Errorf("%s: KL %v of %v", family, kl, base)
		}
		done := 0
		for i := range g.Nodes {
			for _, x := range g.Nodes[i].Linears() {
				if x.Routed && res.Weights[x.Weight] != nil {
					done++
				}
			}
		}
		if done != per || routed != per {
			t.Errorf("%s: %d of %d matrices of experts are calibrated, want %d", family, done, routed, per)
		}
		rows, of := 0, map[string]bool{}
		for _, s := range res.Sites {
			if s.Expert && strings.Contains(s.Reader, ".layers.1.") && s.Inputs == 40 {
				rows += s.Rows
				of[s.Reader] = true
			}
		}
		if want := 20 * 64 * map[string]int{"qwen3_moe": 2, "granitemoe": 2, "deepseek_v2": 3}[family]; rows != want {
			t.Errorf("%s: experts of layer 1 saw %d rows, want %d: %v", family, rows, want, of)
		}
		opt.Seqs, opt.Threads = ids[:1], 1
		again, err := Run(context.Background(), g, src, opt)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(again.Notes, "\n"), "inputs of experts") && family == "deepseek_v2" {
			t.Errorf("%s: no word of experts that 64 tokens seldom reach: %q", family, again.Notes)
		}
		opt.Threads = 3
		if res, err = Run(context.Background(), g, src, opt); err != nil {
			t.Fatal(err)
		}
		for name, w := range res.Weights {
			if v := again.Weights[name]; !bytes.Equal(w.Data, v.Data) || w.Scale[0] != v.Scale[0] {
				t.Errorf("%s: %s depends on the number of threads", family, name)
			}
		}
	}
}

// TestScarce: with few rows of correlated inputs, an expert's matrix is on other rows never much worse than to nearest, where
// believing the rows alone is; with many it is better by far.
func TestScarce(t *testing.T) {
	const k, n = 128, 32
	rng := rand.New(rand.NewPCG(6, 6))
	mix := newMatrix(k, k)
	for i := range mix {
		for j := range mix[i] {
			mix[i][j] = float32(rng.NormFloat64() * math.Exp(-float64(j)/24))
		}
	}
	inputs := func(rows int) matrix {
		x := newMatrix(rows, k)
		for _, row := range x {
			var z [k]float64
			for j := range z {
				z[j] = rng.NormFloat64()
			}
			for i := range row {
				sum := 0.1 * rng.NormFloat64()
				for j, m := range mix[i] {
					sum += float64(m) * z[j]
				}
				row[i] = float32(sum)
			}
		}
		return x
	}
	w, held := newMatrix(n, k), inputs(400)
	for _, row := range w {
		for i := range row {
			row[i] = float32(rng.NormFloat64())
		}
	}
	c := &calibration{opt: Options{Damp: 0.01, Threads: 2}}
	lost := func(m *moments) float64 { // error on other rows
		var ut matrix
		if m != nil {
			var err error
			if ut, err = c.feedback(&site{}, m, columns{}, &record{}); err != nil {
				t.Fatal(err)
			}
		} else {
			m = newMoments(k, false, 0, false)
			for i := range k {
				m.h[i][i] = 1
			}
		}
		q := dequantize(c.job(layer{w: rowsOf(flat(w), k), format: linear.I4, group: 32}, nil, m, columns{}, ut, 0).round())
		sum := 0.0
		for _, x := range held {
			for r := range q {
				d := 0.0
				for i, v := range x {
					d += float64(v) * float64(q[r][i]-w[r][i])
				}
				sum += d * d
			}
		}
		return sum
	}
	nearest := lost(nil)
	for _, rows := range []int{0, 1, 4, 16, 64, 2048} {
		x := inputs(rows)
		of := func(few bool) float64 {
			m := newMoments(k, false, 0, false)
			m.add(x, nil, nil, nil, 2)
			m.finish(2)
			if few {
				m.scarce(2)
			}
			return lost(m) / nearest
		}
		bare, ours := of(false), of(true)
		t.Logf("%d rows: error %.3f of that to nearest, believed alone %.3f", rows, ours, bare)
		if ours > 1.05 || rows == 2048 && ours > 0.5 || !num.Finite(ours) {
			t.Errorf("%d rows: %.3f of the error to nearest", rows, ours)
		}
	}
}

// flat is a copy of w in one piece.
func flat(w matrix) (f []float32) {
	for _, row := range w {
		f = append(f, row...)
	}
	return f
}
