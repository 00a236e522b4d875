package format

import (
	"fmt"
	"math"
)

// Activation is the static quantization of one value of the graph for the
// s8s8 layers that read it (numerics N3.6), or for all that do, and how it was found.
type Activation struct {
	Value    string  `json:"value"` // name in the graph
	Scale    float32 `json:"scale"`
	Zero     int32   `json:"zero"` // 0 to 255
	Observer string  `json:"observer"`
	Min      float32 `json:"min"` // range seen while calibrating
	Max      float32 `json:"max"`
	Clipped  float64 `json:"clipped"` // share of the values seen that the range leaves out
	// Stored says that the value is kept as codes for all that read it, not for those layers alone (numerics N12.1).
	Stored bool `json:"stored,omitempty"`
}

// Least and greatest scale: 1/scale is a normal number.
const (
	minScale = 0x1p-126
	maxScale = 0x1p126
)

// activations is the JSON of the section.
type activations struct {
	Activations bounded[Activation] `json:"activations"`
}

// Activations reads the section "activations"; a file without it has none.
func (f *File) Activations() ([]Activation, error) {
	if _, ok := f.index[KindActivations.String()]; !ok {
		return nil, nil
	}
	b, err := f.read(KindActivations)
	if err != nil {
		return nil, err
	}
	var list activations
	if err := decodeJSON(b, &list, ErrActivations); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	if err := checkActivations(list.Activations); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return list.Activations, nil
}

// WriteActivations writes the section "activations".
func (w *Writer) WriteActivations(list []Activation) error {
	if err := checkActivations(list); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return w.writeJSON(KindActivations, activations{list})
}

func checkActivations(list []Activation) error {
	if len(list) == 0 {
		return fmt.Errorf("%w: the list is empty; leave the section out", ErrActivations)
	}
	seen := make(map[string]bool, len(list))
	for i, a := range list {
		bad := func(format string, v ...any) error {
			return fmt.Errorf("%w: number %d, value %.40q: %s", ErrActivations, i, a.Value, fmt.Sprintf(format, v...))
		}
		switch {
		case !goodName(a.Value):
			return bad("the name must be 1 to %d bytes of UTF-8", maxName)
		case seen[a.Value]:
			return bad("it occurs twice")
		case !(a.Scale >= minScale && a.Scale <= maxScale):
			return bad("scale %g, must be 2^-126 to 2^126", a.Scale)
		case a.Zero < 0 || a.Zero > 255:
			return bad("zero point %d, must be 0 to 255", a.Zero)
		case !(a.Min <= a.Max && a.Min >= -math.MaxFloat32 && a.Max <= math.MaxFloat32):
			return bad("range %g to %g", a.Min, a.Max)
		case !(a.Clipped >= 0 && a.Clipped <= 1):
			return bad("share of clipped values %g, must be 0 to 1", a.Clipped)
		}
		seen[a.Value] = true
	}
	return nil
}
