package exec

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register("l2norm", func(n *graph.Node, w Weights) (func(r *Row), error) {
		eps := n.Op.(graph.L2Norm).Eps
		return func(r *Row) {
			x, sum := r.In(0), 0.0
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			length := max(math.Sqrt(sum), eps)
			for j, v := range x {
				r.Dst[j] = float32(float64(v) / length)
			}
		}, nil
	})
}
