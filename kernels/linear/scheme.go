package linear

import (
	"fmt"
	"slices"
	"strings"
)

// Scheme names how a linear layer is stored and what its input rows become.
type Scheme struct {
	Name   string
	Format Format
	Form   ActForm
	Bits   int  // of one weight code
	Static bool // input rows have one scale and zero point, found when converting
}

// Schemes lists the schemes in the order of DESIGN's table.
var Schemes = []Scheme{
	{"f32", F32, AF32, 32, false},
	{"bf16", BF16, ABF16, 16, false},
	{"a16w8", I8, A16, 8, false},
	{"a16w6", I6, A16, 6, false},
	{"a16w4", I4, A16, 4, false},
	{"da8w8", I8, A8, 8, false},
	{"da8w6", I6, A8, 6, false},
	{"da8w4", I4, A8, 4, false},
	{"s8s8", I8, A8, 8, true},
	{"keep", Codes, AF32, 32, false},
}

// ParseScheme finds a scheme by name.
func ParseScheme(name string) (Scheme, error) {
	i := slices.IndexFunc(Schemes, func(s Scheme) bool { return s.Name == name })
	if i < 0 {
		return Scheme{}, fmt.Errorf("scheme %q is unknown, want one of %s", name, strings.Join(SchemeNames(), ", "))
	}
	return Schemes[i], nil
}

// SchemeNames lists the names of Schemes.
func SchemeNames() (names []string) {
	for _, s := range Schemes {
		names = append(names, s.Name)
	}
	return names
}

// Compatible says whether the scheme's layers may be stored in format f: its
// own, or for int4 the one with float group scales.
func (s Scheme) Compatible(f Format) bool {
	return f == s.Format || s.Format == I4 && f == I4F
}
