package ref_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/runtime/ref"
)

// one builds a graph embed -> op: row i of the table is the op's input at id i.
func one(t *testing.T, width int, op func(b *graph.Builder, x, pos, rows string) string) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder()
	n, r := b.Symbol("T"), b.Symbol("R")
	ids, pos, rows := b.Input("ids", graph.Int, n), b.Input("pos", graph.Int, n), b.Input("rows", graph.Int, r)
	x := b.Node("embed", graph.Embedding{}, []string{ids}, b.Param("table", 32, width))
	b.Output("out", op(b, x, pos, rows))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// table gives w["table"] [32, width] of random numbers.
func table(width int) weights {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]float32, 32*width)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return weights{"table": {[]int{32, width}, data}}
}

func iota32(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}

func apply(t *testing.T, g *graph.Graph, w weights, s ref.Seq) graph.Tensor {
	t.Helper()
	out, err := ref.Logits(context.Background(), g, w, []ref.Seq{s}, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// TestAttentionMask: causal, windowed and full masks against float64 written
// out key by key; q, k and v are slices of one projection of the embedding.
func TestAttentionMask(t *testing.T) {
	const n, heads, kv, d = 9, 4, 2, 3
	for _, mask := range []graph.Mask{{Kind: "causal"}, {Kind: "causal", Window: 1}, {Kind: "causal", Window: 4}, {Kind: "full"}} {
		w := table(heads * d)
		r := rand.New(rand.NewPCG(3, 4))
		for name, rows := range map[string]int{"q": heads * d, "k": kv * d, "v": kv * d} {
			m := make([]float32, rows*heads*d)
			for i := range m {
				m[i] = float32(r.NormFloat64())
			}
			w[name] = weight{[]int{rows, heads * d}, m}
		}
		g := one(t, heads*d, func(b *graph.Builder, x, pos, _ string) string {
			return b.Node("attn", graph.Attention{Heads: heads, KVHeads: kv, HeadDim: d, Scale: 0.5, Mask: mask}, []string{
				b.Linear("q", x, b.Param("q", heads*d, heads*d), ""), b.Linear("k", x, b.Param("k", kv*d, heads*d), ""),
				b.Linear("v", x, b.Param("v", kv*d, heads*d), ""), pos})
		})
		proj := func(name string, i, c int) (sum float64) {
			for k := range heads * d {
				sum += float64(w[name].data[c*heads*d+k]) * float64(w["table"].data[i*heads*d+k])
			}
			return sum
		}
		got := apply(t, g, w, ref.Seq{IDs: iota32(n)})
		var want []float32
		for i := range n {
			for h := range heads {
				var y [d]float64
				total := 0.0
				for j := range n {
					if mask.Kind == "causal" && (j > i || mask.Window > 0 && j < i-mask.Window+1) {
						continue
					}
					s := 0.0
					for c := range d {
						s += proj("q", i, h*d+c) * proj("k", j, h/2*d+c)
					}
					p := math.Exp(s * 0.5)
					total += p
					for c := range d {
						y[c] += p * proj("v", j, h/2*d+c)
					}
				}
				for c := range d {
					want = append(want, float32(y[c]/total))
				}
			}
		}
		near(t, fmt.Sprint(mask), got.F, want, 1e-5)
	}
}

// TestRope: pairing, part of the head, scale; each pair turned as a complex number.
func TestRope(t *testing.T) {
	const n, heads, d, rotary = 5, 2, 8, 6
	for _, pairing := range []string{"half", "interleaved"} {
		w := table(heads * d)
		freqs := []float64{1, 0.25, 0.0625}
		g := one(t, heads*d, func(b *graph.Builder, x, pos, _ string) string {
			return b.Node("rope", graph.RoPE{HeadDim: d, Rotary: rotary, Pairing: pairing, Freqs: freqs, Scale: 1.5}, []string{x, pos})
		})
		got := apply(t, g, w, ref.Seq{IDs: iota32(n)})
		want := append([]float32(nil), w["table"].data[:n*heads*d]...)
		for i := range n {
			for h := range heads {
				x := want[(i*heads+h)*d:][:d]
				for j, f := range freqs {
					a, b := &x[j], &x[j+3]
					if pairing == "interleaved" {
						a, b = &x[2*j], &x[2*j+1]
					}
					z := complex(float64(*a), float64(*b)) * complex(1.5*math.Cos(float64(i)*f), 1.5*math.Sin(float64(i)*f))
					*a, *b = float32(real(z)), float32(imag(z))
				}
			}
		}
		near(t, pairing, got.F, want, 1e-6)
	}
}

func TestElementwise(t *testing.T) {
	w := table(7)
	x := w["table"].data[:3*7]
	each := func(f func(x float64) float64) (y []float32) {
		for _, v := range x {
			y = append(y, float32(f(float64(v))))
		}
		return y
	}
	w["norm"] = weight{[]int{7}, []float32{1, 2, 3, -1, 0, 0.5, -2}}
	var normed []float32
	for i := range 3 {
		sum := 0.0
		for _, v := range x[7*i : 7*i+7] {
			sum += float64(v) * float64(v)
		}
		for j, v := range x[7*i : 7*i+7] {
			normed = append(normed, float32(float64(v)/math.Sqrt(sum/7+0.1)*(float64(w["norm"].data[j])+1)))
		}
	}
	node := func(op graph.Op, params ...string) func(b *graph.Builder, x, pos, rows string) string {
		return func(b *graph.Builder, x, _, _ string) string { return b.Node("op", op, []string{x}, params...) }
	}
	for _, c := range []struct {
		name string
		op   func(b *graph.Builder, x, pos, rows string) string
		want []float32
	}{
		{"relu", node(graph.Unary{Func: "relu"}), each(func(x float64) float64 { return (x + math.Abs(x)) / 2 })},
		{"silu", node(graph.Unary{Func: "silu"}), each(func(x float64) float64 { return x * (1 + math.Tanh(x/2)) / 2 })},
		{"gelu", node(graph.Unary{Func: "gelu"}), each(func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 })},
		{"gelu_tanh", node(graph.Unary{Func: "gelu_tanh"}), each(func(x float64) float64 {
			return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		})},
		{"add", func(b *graph.Builder, x, _, _ string) string { return b.Binary("op", "add", x, x) }, each(func(x float64) float64 { return 2 * x })},
		{"mul", func(b *graph.Builder, x, _, _ string) string { return b.Binary("op", "mul", x, x) }, each(func(x float64) float64 { return x * x })},
		{"rmsnorm", func(b *graph.Builder, x, _, _ string) string {
			return b.Node("op", graph.RMSNorm{Eps: 0.1, Offset: 1}, []string{x}, b.Param("norm", 7))
		}, normed},
		{"gather", func(b *graph.Builder, x, _, rows string) string {
			return b.Node("op", graph.Gather{}, []string{x, rows})
		}, append(append([]float32(nil), x[:7]...), x[14:]...)},
	} {
		near(t, c.name, apply(t, one(t, 7, c.op), w, ref.Seq{IDs: iota32(3), Rows: []int32{0, 2}}).F, c.want, 1e-6)
	}
}

// TestLinear: every small K and N, so that all tails of the loops are met, with
// and without bias; tolerance K * 2^-24 * |x||w| and the rounding of the bias.
func TestLinear(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, k := range []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 40} {
		for _, n := range []int{1, 2, 3, 7, 8, 9, 17} {
			w := table(k)
			w["w"], w["b"] = weight{[]int{n, k}, make([]float32, n*k)}, weight{[]int{n}, make([]float32, n)}
			for i := range w["w"].data {
				w["w"].data[i] = float32(r.NormFloat64())
			}
			for i := range w["b"].data {
				w["b"].data[i] = float32(r.NormFloat64())
			}
			g := one(t, k, func(b *graph.Builder, x, _, _ string) string {
				return b.Linear("y", x, b.Param("w", n, k), b.Param("b", n))
			})
			y := apply(t, g, w, ref.Seq{IDs: iota32(5)})
			for m := range 5 {
				for j := range n {
					sum, size := float64(w["b"].data[j]), 0.0
					for i := range k {
						p := float64(w["table"].data[m*k+i]) * float64(w["w"].data[j*k+i])
						sum, size = sum+p, size+math.Abs(p)
					}
					tol := (float64(k)*size + math.Abs(sum) + 1) / (1 << 24)
					near(t, fmt.Sprintf("K=%d N=%d y[%d, %d]", k, n, m, j), y.Row(m)[j:j+1], []float32{float32(sum)}, tol)
				}
			}
		}
	}
}

// TestTap: every node once a sequence, in order, with resolved operands.
func TestTap(t *testing.T) {
	m, w := model(t, "../../testdata/llama-variants/linear-mha")
	i := 0
	_, err := ref.Logits(context.Background(), m.Graph, w, []ref.Seq{{IDs: []int32{1, 2}}, {IDs: []int32{3}, Rows: []int32{}}}, ref.Options{
		Tap: func(n *graph.Node, seq int, in []graph.Tensor, out graph.Tensor) {
			if n != &m.Graph.Nodes[i/2] || seq != i%2 || len(in) != len(n.In) || len(out.Shape) != 2 {
				t.Fatalf("call %d is node %s, sequence %d, %d operands, result %v", i, n.Name, seq, len(in), out.Shape)
			}
			if b, ok := n.Op.(graph.Binary); ok && b.Func == "add" && out.F[0] != in[0].F[0]+in[1].F[0] {
				t.Errorf("%s: operands do not add up to the result", n.Name)
			}
			i++
		},
	})
	if err != nil || i != 2*len(m.Graph.Nodes) {
		t.Fatal(i, err)
	}
}

type broken struct{ weights }

func (b broken) ReadRows(name string, r0, r1 int, dst []float32) error {
	if strings.HasSuffix(name, "down_proj.bias") {
		return errors.New("disk on fire")
	}
	return b.weights.ReadRows(name, r0, r1, dst)
}

func TestErrors(t *testing.T) {
	m, w := model(t, "../../testdata/llama-variants/linear-mha")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := graph.NewBuilder()
	image := b.Input("image", graph.Float, 4)
	b.Output("y", b.Linear("fc", image, b.Param("fc", 2, 4), ""))
	vision, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		ctx  context.Context
		g    *graph.Graph
		src  graph.Source
		seq  ref.Seq
	}{
		{"part 0 of the batch has 0 rows: no tokens", nil, m.Graph, w, ref.Seq{}},
		{"part 0: rows wanted are [2]: must ascend within 0 to 1", nil, m.Graph, w, ref.Seq{IDs: []int32{1, 2}, Rows: []int32{2}}},
		{"token id 33 at position 1: must be below 33", nil, m.Graph, w, ref.Seq{IDs: []int32{1, 33}}},
		{"token id -1", nil, m.Graph, w, ref.Seq{IDs: []int32{-1}}},
		{"node model.layers.0.mlp.down_proj: disk on fire", nil, m.Graph, broken{w}, ref.Seq{IDs: []int32{1}}},
		{"context canceled", ctx, m.Graph, w, ref.Seq{IDs: []int32{1}}},
		{"no rows of tokens (symbol T), the batch has 1 parts", nil, vision, w, ref.Seq{IDs: []int32{1}}},
	} {
		if c.ctx == nil {
			c.ctx = context.Background()
		}
		_, err := ref.Logits(c.ctx, c.g, c.src, []ref.Seq{c.seq}, ref.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// BenchmarkLinear: a 2048 x 2048 layer on 64 tokens.
func BenchmarkLinear(b *testing.B) {
	const n, k, m = 2048, 2048, 64
	bd := graph.NewBuilder()
	t := bd.Symbol("T")
	x := bd.Node("embed", graph.Embedding{}, []string{bd.Input("ids", graph.Int, t)}, bd.Param("table", 32, k))
	bd.Output("y", bd.Linear("fc", x, bd.Param("w", n, k), ""))
	g, err := bd.Graph()
	if err != nil {
		b.Fatal(err)
	}
	w := table(k)
	w["w"] = weight{[]int{n, k}, make([]float32, n*k)}
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			for b.Loop() {
				if _, err := ref.Logits(context.Background(), g, w, []ref.Seq{{IDs: make([]int32, m)}}, ref.Options{Threads: threads}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(2*n*k*m*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
