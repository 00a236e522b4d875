package export

import (
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
)

func init() {
	for name, mode := range map[string]string{"upsample_nearest1d": "nearest", "upsample_nearest2d": "nearest", "upsample_nearest3d": "nearest", "upsample_linear1d": "linear", "upsample_bilinear2d": "linear", "upsample_trilinear3d": "linear", "upsample_bicubic2d": "cubic",
		"_upsample_nearest_exact1d": "exact", "_upsample_nearest_exact2d": "exact", "_upsample_nearest_exact3d": "exact", "_upsample_bilinear2d_aa": "linear_aa", "_upsample_bicubic2d_aa": "cubic_aa"} {
		r := int(strings.TrimSuffix(name, "_aa")[len(strings.TrimSuffix(name, "_aa"))-2] - '0')
		ops[name] = func(c *call) ([]*tensor, error) {
			in := "input"
			if _, ok := c.args["self"]; ok {
				in = "self"
			}
			t := c.tensor(in)
			op := graph.Resize{Mode: mode, Corners: c.bool("align_corners", false)}
			factors := c.floats("scale_factors")
			switch {
			case c.has("output_size"):
				op.Size = c.ints("output_size", r)
			case len(factors) == r && t.rank() == r+2:
				for i, f := range factors {
					op.Size = append(op.Size, int(float64(t.shape[2+i].n)*f))
					if !op.Corners {
						op.Scale = append(op.Scale, 1/f)
					}
				}
			default:
				c.fail("neither output_size nor %d scale_factors", r)
			}
			if c.err == nil && slices.Contains([]string{"exact", "linear_aa", "cubic_aa"}, mode) {
				if op.Corners && mode != "exact" {
					c.fail("align_corners with antialias")
				}
				return one(c.p.resized(t, r, op))
			}
			return c.spatial(in, r, op)
		}
	}
}

// resized scales the last r dimensions in ways that the op resize has not: "exact" takes the element under the middle of a place;
// "linear_aa" and "cubic_aa" weigh all elements that a place covers, as PyTorch's antialias and Pillow do.
func (p *program) resized(t *tensor, r int, op graph.Resize) (*tensor, error) {
	t, err := p.dense(t)
	if err != nil {
		return nil, err
	}
	if op.Mode == "exact" {
		nearest := graph.Resize{Mode: "nearest", Size: op.Size}
		lists := make([][]float64, r)
		alike := true
		for i, n := range op.Size {
			in := t.shape[2+i].n
			by := float32(in) / float32(n)
			if op.Scale != nil {
				by = float32(op.Scale[i])
			}
			_, index, _ := nearest.Taps(i, in)
			for o := range n {
				k := min(int((float32(o)+0.5)*by), in-1)
				lists[i] = append(lists[i], float64(k))
				alike = alike && k == index[o]
			}
		}
		if alike {
			return p.spatial(t, r, nearest)
		}
		for i, list := range lists {
			if t, err = p.gather(t, 2+i, fresh([]int{len(list)}, list, true)); err != nil {
				return nil, err
			}
		}
		return t, nil
	}
	filter, support := func(x float64) float64 { return max(1-math.Abs(x), 0) }, 1.0
	if op.Mode == "cubic_aa" {
		const a = -0.5
		support = 2
		filter = func(x float64) float64 {
			switch x = math.Abs(x); {
			case x < 1:
				return ((a+2)*x-(a+3))*x*x + 1
			case x < 2:
				return (((x-5)*x+8)*x - 4) * a
			}
			return 0
		}
	}
	for i, n := range op.Size {
		in := t.shape[2+i].n
		by := float64(in) / float64(n)
		if op.Scale != nil {
			by = op.Scale[i]
		}
		wide := max(by, 1)
		weights := make([]float64, n*in)
		for o := range n {
			center := by * (float64(o) + 0.5)
			from, to := max(int(center-support*wide+0.5), 0), min(int(center+support*wide+0.5), in)
			sum := 0.0
			for k := from; k < to; k++ {
				weights[o*in+k] = filter((float64(k) - center + 0.5) / wide)
				sum += weights[o*in+k]
			}
			for k := from; k < to && sum != 0; k++ {
				weights[o*in+k] /= sum
			}
		}
		d := 2 + i
		order := append(slices.DeleteFunc(upTo(t.rank()), func(k int) bool { return k == d }), d)
		back := make([]int, len(order))
		for k, e := range order {
			back[e] = k
		}
		u, err := p.product(t.permute(order), ofConstant(fresh([]int{n, in}, weights, false).permute([]int{1, 0})))
		if err != nil {
			return nil, err
		}
		t = u.permute(back)
	}
	return t, nil
}
