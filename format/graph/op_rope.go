package graph

import (
	"math"
	"slices"

	"qpt/internal/num"
)

func init() { Register[RoPE]() }

// RoPE rotates each head of x [T, H*HeadDim] by position: in x, pos i32 [T].
// Freqs are the Rotary/2 inverse frequencies, float32 numbers, with every
// scaling rule already applied, except Dynamic. Pairing: "half" pairs i with
// i+Rotary/2 (HuggingFace), "interleaved" pairs 2i with 2i+1.
type RoPE struct {
	HeadDim int       `json:"head_dim"`
	Rotary  int       `json:"rotary_dim"`
	Pairing string    `json:"pairing"`
	Freqs   []float64 `json:"freqs"`
	Scale   float64   `json:"scale"` // factor on cos and sin, 1 when absent in the config
	// Dynamic is set for NTK scaling by length: once a sequence is longer
	// than MaxPos the base is recomputed from its current length.
	Dynamic *DynamicRoPE `json:"dynamic,omitempty"`
	// Long is set for longrope: other frequencies once a sequence is longer than MaxPos.
	Long *LongRoPE `json:"long,omitempty"`
}

// LongRoPE holds the inverse frequencies, Rotary/2 float32 numbers, of sequences longer than MaxPos.
type LongRoPE struct {
	Freqs  []float64 `json:"freqs"`
	MaxPos int       `json:"max_pos"`
}

// DynamicRoPE: base' = Theta * (Factor*len/MaxPos - (Factor-1)) ^ (d/(d-2)), d = rotary dim, for len > MaxPos.
type DynamicRoPE struct {
	Theta  float64 `json:"theta"`
	Factor float64 `json:"factor"`
	MaxPos int     `json:"max_pos"`
}

// Kind implements Op.
func (RoPE) Kind() string { return "rope" }

// Arity implements Op.
func (RoPE) Arity() Arity { return Arity{In: 2} }

// Infer implements Op.
func (a RoPE) Infer(o *Operands) ([]Value, error) {
	if w := o.Features(0); w == 0 || !o.Is(0, Float, 2) || a.HeadDim <= 0 || w%a.HeadDim != 0 {
		return o.Fail("C1", "x is %s, must be f32 [T, H*%d]", o.Show(0), a.HeadDim)
	}
	if !o.Is(1, Int, 1) || o.In[1].Shape[0] != o.In[0].Shape[0] {
		return o.Fail("C2", "pos is %s, must be i32 [T] with the T of %s", o.Show(1), o.Show(0))
	}
	if a.Rotary < 2 || a.Rotary%2 != 0 || a.Rotary > a.HeadDim {
		return o.Fail("C3", "rotary_dim %d must be even, from 2 to head_dim %d", a.Rotary, a.HeadDim)
	}
	if o, err := a.freqs(o, "freqs", a.Freqs); err != nil {
		return o, err
	}
	if !slices.Contains([]string{"half", "interleaved"}, a.Pairing) {
		return o.Unknown("C5", "pairing", a.Pairing, "half", "interleaved")
	}
	if !num.Finite(a.Scale) || a.Scale <= 0 {
		return o.Fail("C6", "scale %v must be positive", a.Scale)
	}
	if d := a.Dynamic; d != nil {
		if !num.Finite(d.Theta) || d.Theta <= 0 || !num.Finite(d.Factor) || d.Factor < 1 || d.MaxPos < 1 || a.Rotary < 4 {
			return o.Fail("C7", "dynamic theta %v, factor %v, max_pos %d, rotary_dim %d: must be > 0, >= 1, >= 1, >= 4",
				d.Theta, d.Factor, d.MaxPos, a.Rotary)
		}
	}
	if l := a.Long; l != nil {
		if a.Dynamic != nil || l.MaxPos < 1 {
			return o.Fail("C8", "long from max_pos %d: must be at least 1, and without dynamic", l.MaxPos)
		}
		if o, err := a.freqs(o, "long.freqs", l.Freqs); err != nil {
			return o, err
		}
	}
	return Result(Float, o.In[0].Shape...)
}

// freqs checks inverse frequencies.
func (a RoPE) freqs(o *Operands, name string, freqs []float64) ([]Value, error) {
	if len(freqs) != a.Rotary/2 {
		return o.Fail("C4", "%d %s for rotary_dim %d, must be %d", len(freqs), name, a.Rotary, a.Rotary/2)
	}
	for i, f := range freqs {
		if f < 0 || !single(f) {
			return o.Fail("C4", "%s[%d] = %v must be a float32 number, finite and not negative", name, i, f)
		}
	}
	return nil, nil
}

// MaxPos is the length from which on a longer sequence has other frequencies; 0: none.
func (a RoPE) MaxPos() int {
	switch {
	case a.Dynamic != nil:
		return a.Dynamic.MaxPos
	case a.Long != nil:
		return a.Long.MaxPos
	}
	return 0
}

// FreqsAt returns the inverse frequencies for a sequence of n positions: Freqs
// unless dynamic scaling has set in.
func (a RoPE) FreqsAt(n int) []float64 {
	if limit := a.MaxPos(); limit == 0 || n <= limit {
		return a.Freqs
	}
	if a.Long != nil {
		return a.Long.Freqs
	}
	d := a.Dynamic
	dim := float64(a.Rotary)
	base := d.Theta * math.Pow(d.Factor*float64(n)/float64(d.MaxPos)-(d.Factor-1), dim/(dim-2))
	f := make([]float64, a.Rotary/2)
	for i := range f {
		f[i] = float64(float32(math.Pow(base, -float64(2*i)/dim)))
	}
	return f
}

// Text is what Dump prints: of the frequencies only the ends.
func (a RoPE) Text() string { return attrString(a, list("freqs", a.Freqs)...) }
