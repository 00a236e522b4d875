package format

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"qpt/internal/num"
)

// Rewrites say in what the graph of Main differs from the checkpoint's model, though both compute the same but for
// rounding: what its values are of the original's, and what became of parameters. Weights follow from the values
// (package format/rewrite). Without the section nothing differs.
type Rewrites struct {
	Values []RewrittenValue // those that differ, each once
	Params []RewrittenParam // those that are not the checkpoint's under the same name, each once
}

// RewrittenValue tells the rows v' of a value from the original's v: v' = ((v / (Gain + Offset)) R) / Scales.
type RewrittenValue struct {
	Value    string
	Gain     string        // parameter of the original, a vector as wide as the value; "" for 1
	Offset   float32       // 0 without a gain
	Rotation *num.Rotation // R, of rows as wide or of whole parts of them, one after the other; nil for none
	Scales   []float32     // one a channel, nil for 1
}

// RewrittenParam is a parameter that the checkpoint has not, or not so.
type RewrittenParam struct {
	Param  string `json:"param"`
	Change Change `json:"change"`
	Of     string `json:"of,omitempty"` // of Copied
}

// Change is what became of a parameter.
type Change string

// Changes of parameters.
const (
	Copied    Change = "copied"    // it is a copy of the parameter Of, which tied layers share in the original
	Added     Change = "added"     // there was none: zeros, and then corrected
	Folded    Change = "folded"    // a matrix or a bias took in the batch norm behind it
	Corrected Change = "corrected" // calibration added to a bias what the mean of the layer's result lacked
)

// String sums up what was rewritten, "" if nothing was.
func (r Rewrites) String() string {
	var parts []string
	count := func(what string, of func(v *RewrittenValue) bool) {
		n := 0
		for i := range r.Values {
			if of(&r.Values[i]) {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d values %s", n, what))
		}
	}
	count("without a norm's gain", func(v *RewrittenValue) bool { return v.Gain != "" })
	count("rotated", func(v *RewrittenValue) bool { return v.Rotation != nil })
	count("scaled", func(v *RewrittenValue) bool { return v.Scales != nil })
	for _, change := range []Change{Copied, Added, Folded, Corrected} {
		n := 0
		for _, p := range r.Params {
			if p.Change == change {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d parameters %s", n, change))
		}
	}
	return strings.Join(parts, ", ")
}

// rewritesDoc is the JSON of the section.
type rewritesDoc struct {
	Rotations bounded[rotationDoc]    `json:"rotations,omitempty"`
	Values    bounded[valueDoc]       `json:"values"`
	Params    bounded[RewrittenParam] `json:"params,omitempty"`
}

type rotationDoc struct {
	Width int    `json:"width"`
	Block int    `json:"block"`
	Signs string `json:"signs"` // hex; bit i%8 of byte i/8 is 1 where sign i is -1
}

type valueDoc struct {
	Value    string  `json:"value"`
	Gain     string  `json:"gain,omitempty"`
	Offset   float32 `json:"offset,omitempty"`
	Rotation int     `json:"rotation,omitempty"` // number in the list from 1 on, 0: none
	Scales   int     `json:"scales,omitempty"`   // how many of the floats behind are this one's
}

const maxWidth = 1 << 24 // of a value

func encodeRotation(r *num.Rotation) rotationDoc {
	b := make([]byte, (len(r.Signs)+7)/8)
	for i, s := range r.Signs {
		if s < 0 {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return rotationDoc{len(r.Signs), r.Block, hex.EncodeToString(b)}
}

func (d rotationDoc) decode() (*num.Rotation, error) {
	b, err := hex.DecodeString(d.Signs)
	if err != nil || d.Width < 1 || d.Width > maxWidth || len(b) != (d.Width+7)/8 || hex.EncodeToString(b) != d.Signs {
		return nil, fmt.Errorf("signs %.40q are not the %d bits of its width in hex", d.Signs, d.Width)
	}
	if d.Block < 1 || bits.OnesCount(uint(d.Block)) != 1 || d.Width%d.Block != 0 {
		return nil, fmt.Errorf("blocks of %d, must be a power of two that divides the width %d", d.Block, d.Width)
	}
	r := &num.Rotation{Block: d.Block, Signs: make([]float32, d.Width)}
	for i := range len(b) * 8 {
		one := b[i/8]>>(i%8)&1 != 0
		switch {
		case i < d.Width && one:
			r.Signs[i] = -1
		case i < d.Width:
			r.Signs[i] = 1
		case one:
			return nil, fmt.Errorf("signs %.40q: a bit beyond the width %d", d.Signs, d.Width)
		}
	}
	return r, nil
}

func (r *Rewrites) check() error {
	bad := func(name, s string, v ...any) error {
		return fmt.Errorf("%w: %.60q: %s", ErrRewrites, name, fmt.Sprintf(s, v...))
	}
	if len(r.Values)+len(r.Params) == 0 {
		return fmt.Errorf("%w: nothing is rewritten; leave the section out", ErrRewrites)
	}
	seen := map[string]bool{}
	for _, v := range r.Values {
		switch {
		case !goodName(v.Value) || seen[v.Value]:
			return bad(v.Value, "the name of a value must be 1 to %d bytes of UTF-8, and be there once", maxName)
		case v.Gain == "" && v.Rotation == nil && v.Scales == nil:
			return bad(v.Value, "it is as it was")
		case v.Gain != "" && !goodName(v.Gain), v.Gain == "" && v.Offset != 0, !num.Finite(v.Offset):
			return bad(v.Value, "gain %.60q, offset %g", v.Gain, v.Offset)
		case len(v.Scales) > maxWidth:
			return bad(v.Value, "%d scales", len(v.Scales))
		}
		seen[v.Value] = true
		for i, s := range v.Scales {
			if !(s >= minScale && s <= maxScale) {
				return bad(v.Value, "scale %d is %g, must be 2^-126 to 2^126", i, s)
			}
		}
	}
	clear(seen)
	for _, p := range r.Params {
		switch {
		case p.Change != Copied && p.Change != Added && p.Change != Folded && p.Change != Corrected:
			return fmt.Errorf("%w: %.60q: %.40q; use a newer qpt", ErrChange, p.Param, p.Change)
		case !goodName(p.Param) || seen[p.Param]:
			return bad(p.Param, "the name of a parameter must be 1 to %d bytes of UTF-8, and be there once", maxName)
		case (p.Change == Copied) != (p.Of != ""), p.Of != "" && !goodName(p.Of):
			return bad(p.Param, "%s of %.60q", p.Change, p.Of)
		}
		seen[p.Param] = true
	}
	return nil
}

// encode gives u32 bytes of the JSON, the JSON, and the scales of the values in order (f32).
func (r *Rewrites) encode() ([]byte, error) {
	var doc rewritesDoc
	var scales []byte
	for _, v := range r.Values {
		d := valueDoc{Value: v.Value, Gain: v.Gain, Offset: v.Offset, Scales: len(v.Scales)}
		if v.Rotation != nil {
			e := encodeRotation(v.Rotation)
			if d.Rotation = 1 + slices.Index(doc.Rotations, e); d.Rotation == 0 {
				doc.Rotations = append(doc.Rotations, e)
				d.Rotation = len(doc.Rotations)
			}
		}
		doc.Values = append(doc.Values, d)
		scales = appendFloats(scales, v.Scales)
	}
	if doc.Params = r.Params; doc.Values == nil {
		doc.Values = bounded[valueDoc]{}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return append(append(le.AppendUint32(nil, uint32(len(text))), text...), scales...), nil
}

func decodeRewrites(b []byte) (r Rewrites, err error) {
	if len(b) < 4 || uint64(le.Uint32(b)) > uint64(len(b)-4) {
		return r, fmt.Errorf("%w: cut short", ErrRewrites)
	}
	n := int(le.Uint32(b))
	text, rest := b[4:4+n], b[4+n:]
	var doc rewritesDoc
	if err := decodeJSON(text, &doc, ErrRewrites); err != nil {
		return r, err
	}
	var rotations []*num.Rotation
	for i, d := range doc.Rotations {
		t, err := d.decode()
		if err != nil {
			return r, fmt.Errorf("%w: rotation %d: %w", ErrRewrites, i+1, err)
		}
		rotations = append(rotations, t)
	}
	for _, d := range doc.Values {
		v := RewrittenValue{Value: d.Value, Gain: d.Gain, Offset: d.Offset}
		if d.Rotation < 0 || d.Rotation > len(rotations) || d.Scales < 0 || d.Scales > len(rest)/4 {
			return r, fmt.Errorf("%w: %.60q: rotation %d of %d, %d scales of %d", ErrRewrites, d.Value, d.Rotation, len(rotations), d.Scales, len(rest)/4)
		}
		if d.Rotation > 0 {
			v.Rotation = rotations[d.Rotation-1]
		}
		if d.Scales > 0 {
			v.Scales = floats(rest[:4*d.Scales])
			rest = rest[4*d.Scales:]
		}
		r.Values = append(r.Values, v)
	}
	if len(rest) != 0 {
		return r, fmt.Errorf("%w: %d bytes too many", ErrRewrites, len(rest))
	}
	r.Params = doc.Params
	return r, r.check()
}

// Rewrites reads the section "rewrites"; a file without it has none.
func (f *File) Rewrites() (Rewrites, error) {
	if _, ok := f.index[KindRewrites.String()]; !ok {
		return Rewrites{}, nil
	}
	b, err := f.read(KindRewrites)
	if err != nil {
		return Rewrites{}, err
	}
	r, err := decodeRewrites(b)
	if err != nil {
		return Rewrites{}, fmt.Errorf("%s: %w", f.path, err)
	}
	return r, nil
}

// WriteRewrites writes the section "rewrites".
func (w *Writer) WriteRewrites(r Rewrites) error {
	err := r.check()
	var b []byte
	if err == nil {
		b, err = r.encode()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return w.Put(KindRewrites, KindRewrites.String(), Zstd, b)
}
