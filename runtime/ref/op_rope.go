package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.RoPE) error {
		freqs := make([][]float64, len(c.Out[0])) // [part][Rotary/2]
		for s := range freqs {
			freqs[s] = op.FreqsAt(c.parts[s].end)
		}
		c.EachRow(func(s, i int) { rope(op, freqs[s], c.In[1][s].I[i], c.In[0][s].Row(i), c.Out[0][s].Row(i)) })
		return nil
	})
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
