package ref

import (
	"math"

	"qpt/format/graph"
	"qpt/internal/num"
)

func init() {
	Register(func(c *Call, op graph.Pool) error {
		axes := op.Axes(op.Kernel)
		return c.pool(op.Func, len(op.Kernel), func(j, o, size int) (first, step, n, counted int) {
			a := axes[j]
			first = o*a.Stride - a.Before
			counted = min(first+a.Span(), size+a.After) - first // what the padding has of it
			if !op.Padded {
				counted = 0
			}
			return first, a.Dilation, a.Kernel, counted
		}, op.Divisor, op.Single, false)
	})
	Register(func(c *Call, op graph.AdaptivePool) error {
		return c.pool(op.Func, len(op.Size), func(j, o, size int) (first, step, n, counted int) {
			first = o * size / op.Size[j]
			return first, 1, ((o+1)*size+op.Size[j]-1)/op.Size[j] - first, 0
		}, 0, op.Single, true)
	})
}

// pool folds for each place the elements first, first+step .. of every dimension, n of them; the divisor of a mean is the one
// given, else the product of what is counted, else the number of elements inside. Single means are spec/ops.md's.
func (c *Call) pool(fn string, r int, window func(j, o, size int) (first, step, n, counted int), divisor int, single, adaptive bool) error {
	for s, out := range c.Out[0] {
		x := c.Operand(0, s)
		g := gridOf(x, out, r)
		places := product(g.out)
		c.each(g.lead*places, func(row int) {
			o, first, step, count := place(row%places, g.out), make([]int, r), make([]int, r), make([]int, r)
			padded := 1
			for j := range o {
				var k int
				first[j], step[j], count[j], k = window(j, o[j], g.in[j])
				padded *= k
			}
			y := out.Row(row)
			sum := make([]float64, len(y))
			if fn == "max" {
				for i := range sum {
					sum[i] = math.Inf(-1)
				}
			}
			inside := 0
			each := make([][]float32, len(y)) // of single means
			for t := range product(count) {
				p := place(t, count)
				for j := range p {
					p[j] = first[j] + p[j]*step[j]
				}
				at := g.at(row/places, p)
				if at < 0 {
					continue
				}
				inside++
				for i, v := range x.Row(at) {
					if single {
						each[i] = append(each[i], v)
					} else if fn == "max" {
						sum[i] = max(sum[i], float64(v))
					} else {
						sum[i] += float64(v)
					}
				}
			}
			by := float64(inside)
			switch {
			case fn == "max":
				by = 1
			case divisor > 0:
				by = float64(divisor)
			case padded > 0:
				by = float64(padded)
			}
			for i := range y {
				if single {
					y[i] = singleMean(each[i], float32(by), adaptive, adaptive && places == 1, count)
				} else {
					y[i] = float32(sum[i] / by)
				}
			}
		})
	}
	return nil
}

// singleMean is the mean of x in float32: of the whole of an image the sum of num.Sum32, else place by place; divided once, or if adaptive by each size.
func singleMean(x []float32, by float32, adaptive, whole bool, sizes []int) float32 {
	if whole {
		return num.Sum32(x) / by
	}
	sum := float32(0)
	for _, v := range x {
		sum += v
	}
	if !adaptive {
		return sum / by
	}
	for _, n := range sizes {
		sum /= float32(n)
	}
	return sum
}
