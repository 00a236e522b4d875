package ref

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
)

// node computes one node for all sequences; in is [operand][sequence].
func (r *run) node(n *graph.Node, in [][]graph.Tensor, out []graph.Tensor) error {
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
			pos := in[1][s].I
			freqs[s] = op.FreqsAt(int(pos[len(pos)-1]) + 1)
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
func (r *run) embedding(table string, ids, out []graph.Tensor) error {
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
// Both products are those of linear layers: a query with the keys [T, D], and
// its weights, with zeros up to a multiple of 8, with the transposed values [D, T].
func (r *run) attention(op graph.Attention, in [][]graph.Tensor, out []graph.Tensor) {
	const block = 64 // queries at a time
	d := op.HeadDim
	allKeys, allValues, at := r.extend(op, in[1], in[2], in[3])
	r.each(len(out)*op.Heads, func(job int) {
		s, h := job/op.Heads, job%op.Heads
		q, k, v, asks, pos := in[0][s], allKeys[s], allValues[s], in[3][s].I, at[s]
		qo, kvo := h*d, h/(op.Heads/op.KVHeads)*d
		t := (len(pos) + 7) &^ 7
		keys, values := make([]float32, 0, len(pos)*d), make([]float32, d*t)
		finite := true
		for j := range pos {
			keys = append(keys, k.Row(j)[kvo:kvo+d]...)
			for c, x := range v.Row(j)[kvo : kvo+d] {
				values[c*t+j] = x
				finite = finite && x-x == 0
			}
		}
		scores := make([]float32, min(block, len(asks))*t)
		for i0 := 0; i0 < len(asks); i0 += block {
			var queries, weights, ys [][]float32
			seen := 0 // keys
			for i := i0; i < min(i0+block, len(asks)); i++ {
				queries, ys = append(queries, q.Row(i)[qo:qo+d]), append(ys, out[s].Row(i)[qo:qo+d])
				weights = append(weights, scores[(i-i0)*t:(i-i0+1)*t])
				for j := seen; j < len(pos); j++ {
					if sees(op.Mask, asks[i], pos[j]) {
						seen = j + 1
					}
				}
			}
			r.dot(weights, 0, queries, keys[:seen*d])
			for i, w := range weights {
				softmax(w, seen, op, asks[i0+i], pos)
				if finite {
					continue
				}
				part := slices.Clone(values) // 0 * infinity is nothing here
				for c := range part {
					if w[c%t] == 0 {
						part[c] = 0
					}
				}
				r.dot(ys[i:i+1], 0, weights[i:i+1], part)
			}
			if finite {
				r.dot(ys, 0, weights, values)
			}
		}
	})
}

// softmax turns the products of the query at position p with the first n keys into weights.
func softmax(w []float32, n int, op graph.Attention, p int32, pos []int32) {
	top := float32(math.Inf(-1))
	for j := range w[:n] {
		if !sees(op.Mask, p, pos[j]) {
			w[j] = float32(math.Inf(-1))
			continue
		}
		w[j] *= float32(op.Scale)
		top = max(top, w[j])
	}
	sum := 0.0
	for j, x := range w[:n] {
		if x == float32(math.Inf(-1)) {
			w[j] = 0
			continue
		}
		w[j] = float32(math.Exp(float64(x - top)))
		sum += float64(w[j])
	}
	for j, x := range w[:n] {
		if x != 0 {
			w[j] = float32(float64(x) / sum)
		}
	}
	clear(w[n:])
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
