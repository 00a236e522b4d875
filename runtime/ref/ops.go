package ref

import (
	"fmt"
	"math"

	"qpt/format/graph"
)

// node computes one node for all sequences; in is [operand][sequence].
func (r *run) node(n *graph.Node, in [][]Tensor, out []Tensor) error {
	switch op := n.Op.(type) {
	case graph.Embedding:
		return r.embedding(n.Params[0], in[0], out)
	case graph.Linear:
		return r.linear(n.Params[0], n.Params[1], in[0], out)
	case graph.RMSNorm:
		w, err := r.read(n.Params[0])
		if err != nil {
			return err
		}
		r.eachRow(out, func(s, i int) { rmsnorm(op, in[0][s].Row(i), w, out[s].Row(i)) })
	case graph.RoPE:
		freqs := make([][]float64, len(out)) // [sequence][Rotary/2]
		for s := range out {
			freqs[s] = op.FreqsAt(len(in[1][s].I))
		}
		r.eachRow(out, func(s, i int) { rope(op, freqs[s], in[1][s].I[i], in[0][s].Row(i), out[s].Row(i)) })
	case graph.Attention:
		r.attention(op, in, out)
	case graph.Unary:
		f := unary[op.Func]
		r.eachRow(out, func(s, i int) {
			x, y := in[0][s].Row(i), out[s].Row(i)
			for j, v := range x {
				y[j] = float32(f(float64(v)))
			}
		})
	case graph.Binary:
		r.eachRow(out, func(s, i int) {
			a, b, y := in[0][s].Row(i), in[1][s].Row(i), out[s].Row(i)
			for j := range y {
				if op.Func == "add" {
					y[j] = a[j] + b[j]
				} else {
					y[j] = a[j] * b[j]
				}
			}
		})
	case graph.Gather:
		for s := range out {
			for i, row := range in[1][s].I {
				copy(out[s].Row(i), in[0][s].Row(int(row)))
			}
		}
	default:
		return fmt.Errorf("op %s is not implemented", n.Op.Kind())
	}
	return nil
}

// embedding: out [T, D] = table[ids].
func (r *run) embedding(table string, ids, out []Tensor) error {
	v := r.params[table].Shape[0]
	for s := range out {
		for i, id := range ids[s].I {
			if id < 0 || int(id) >= v {
				return fmt.Errorf("sequence %d: token id %d at position %d: must be below %d", s, id, i, v)
			}
			if err := r.src.ReadRows(table, int(id), int(id)+1, out[s].Row(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// rmsnorm: y = (x / sqrt(mean(x^2) + eps)) * (w + offset), one row.
func rmsnorm(op graph.RMSNorm, x, w, y []float32) {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	inv := float32(1 / math.Sqrt(sum/float64(len(x))+op.Eps))
	for i, v := range x {
		y[i] = v * inv * (w[i] + float32(op.Offset))
	}
}

// rope rotates the heads of one row x [H*HeadDim]. The angle is the float32
// product of position and frequency, as the float32 models are run elsewhere.
func rope(op graph.RoPE, freqs []float64, pos int32, x, y []float32) {
	copy(y, x) // what lies beyond Rotary stays
	for i, f := range freqs {
		sin, cos := math.Sincos(float64(float32(pos) * float32(f)))
		s, c := float32(sin*op.Scale), float32(cos*op.Scale)
		a, b := i, i+op.Rotary/2
		if op.Pairing == "interleaved" {
			a, b = 2*i, 2*i+1
		}
		for h := 0; h < len(x); h += op.HeadDim {
			p, q := x[h+a], x[h+b]
			y[h+a] = float32(p*c) - float32(q*s)
			y[h+b] = float32(q*c) + float32(p*s)
		}
	}
}

// attention: each query head h reads key and value head h / (Heads/KVHeads).
func (r *run) attention(op graph.Attention, in [][]Tensor, out []Tensor) {
	d := op.HeadDim
	r.each(len(out)*op.Heads, func(job int) {
		s, h := job/op.Heads, job%op.Heads
		q, k, v, pos := in[0][s], in[1][s], in[2][s], in[3][s].I
		qo, kvo := h*d, h/(op.Heads/op.KVHeads)*d
		scores := make([]float32, len(pos)) // [T]
		for i := range pos {
			query, y := q.Row(i)[qo:qo+d], out[s].Row(i)[qo:qo+d]
			top := float32(math.Inf(-1))
			for j := range pos {
				scores[j] = float32(math.Inf(-1))
				if sees(op.Mask, pos[i], pos[j]) {
					key := k.Row(j)[kvo : kvo+d]
					dot, _ := dot2(query, key, key)
					scores[j] = dot * float32(op.Scale)
					top = max(top, scores[j])
				}
			}
			sum := 0.0
			for j, x := range scores {
				if x == float32(math.Inf(-1)) {
					scores[j] = 0
					continue
				}
				scores[j] = float32(math.Exp(float64(x - top)))
				sum += float64(scores[j])
			}
			for j, p := range scores {
				if p != 0 {
					p = float32(float64(p) / sum)
					for c, x := range v.Row(j)[kvo : kvo+d] {
						y[c] += float32(p * x)
					}
				}
			}
		}
	})
}

// sees reports whether a query at position p sees the key at position k.
func sees(m graph.Mask, p, k int32) bool {
	if m.Kind == "full" {
		return true
	}
	return k <= p && (m.Window == 0 || int(p)-int(k) < m.Window)
}

var unary = map[string]func(x float64) float64{
	"silu":      func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	"gelu":      func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	"gelu_tanh": func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
	"relu":      func(x float64) float64 { return max(x, 0) },
}
