package graph

import "slices"

func init() { Register[Resize]() }

// Resize scales 1 to 3 dimensions: in x [.., S1 .. Sr, C]; out [.., Size.., C]. Place o of a dimension is taken from coordinate
// Scale*o (nearest, rounded down), Scale*(o + 1/2) - 1/2 (linear: not below 0; cubic), or with Corners o*(S-1)/(O-1), between whose
// neighbours linear and cubic (a = -3/4) go.
type Resize struct {
	Mode    string `json:"mode"` // one of ResizeModes
	Size    []int  `json:"size"`
	Corners bool   `json:"corners,omitempty"`
	// Scale is elements of x from place to place; absent: S/O.
	Scale []float64 `json:"scale,omitempty"`
}

// ResizeModes are the modes of Resize.
var ResizeModes = []string{"nearest", "linear", "cubic"}

// Kind implements Op.
func (Resize) Kind() string { return "resize" }

// Arity implements Op.
func (Resize) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Resize) Infer(o *Operands) ([]Value, error) {
	lead, _, err := o.spatial(0, len(a.Size))
	if err != nil {
		return o.Fail("C1", "%v", err)
	}
	for _, n := range a.Size {
		if n < 1 || n >= 1<<20 {
			return o.Fail("C2", "size %v must be numbers above 0", a.Size)
		}
	}
	if !slices.Contains(ResizeModes, a.Mode) {
		return o.Unknown("C3", "mode", a.Mode, ResizeModes...)
	}
	if a.Corners && a.Mode == "nearest" || a.Scale != nil && (len(a.Scale) != len(a.Size) || a.Corners) {
		return o.Fail("C4", "corners %v, scale %v: scales are as many as sizes, without corners, which nearest has not", a.Corners, a.Scale)
	}
	for _, s := range a.Scale {
		if !(s > 0 && s < 1<<20) {
			return o.Fail("C4", "scale %v must be numbers above 0", a.Scale)
		}
	}
	return Result(Float, positions(lead, a.Size, o.Features(0))...)
}

// Taps says for each place of dimension i, whose extent is size, which elements it is made of, n each, and their weights in float64.
func (a Resize) Taps(i, size int) (n int, index []int, weight []float64) {
	out := a.Size[i]
	scale := float64(size) / float64(out)
	if a.Scale != nil {
		scale = a.Scale[i]
	}
	if a.Corners {
		scale = 0
		if out > 1 {
			scale = float64(size-1) / float64(out-1)
		}
	}
	clamp := func(j int) int { return min(max(j, 0), size-1) }
	n = map[string]int{"nearest": 1, "linear": 2, "cubic": 4}[a.Mode]
	for o := range out {
		x := scale * (float64(o) + 0.5)
		switch {
		case a.Mode == "nearest":
			// float32 as PyTorch computes it
			index, weight = append(index, clamp(int(float32(o)*float32(scale)))), append(weight, 1)
			continue
		case a.Corners:
			x = scale * float64(o)
		default:
			x -= 0.5
		}
		if a.Mode == "linear" {
			x = max(x, 0)
			j := clamp(int(x))
			f := min(x-float64(j), 1)
			index, weight = append(index, j, clamp(j+1)), append(weight, 1-f, f)
			continue
		}
		j := int(x)
		if float64(j) > x {
			j--
		}
		f := x - float64(j)
		const c = -0.75
		near := func(t float64) float64 { return ((c+2)*t-(c+3))*t*t + 1 }
		far := func(t float64) float64 { return ((c*t-5*c)*t+8*c)*t - 4*c }
		index = append(index, clamp(j-1), clamp(j), clamp(j+1), clamp(j+2))
		weight = append(weight, far(1+f), near(f), near(1-f), far(2-f))
	}
	return n, slices.Clip(index), weight
}
