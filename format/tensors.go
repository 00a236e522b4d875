package format

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// TensorFormat is how a tensor's numbers are stored (spec/qpt.md, "Tensor
// formats"). Numbers of retired formats are never used again.
type TensorFormat uint16

// Tensor formats. The packed ones are linear weights [N, K] in a layout that
// kernels read as it is (1 to 7 as in linear.Format, 8 is its I8 with wild columns); the plain ones are row-major.
const (
	F32      TensorFormat = 1
	BF16     TensorFormat = 2
	I8       TensorFormat = 3
	I4       TensorFormat = 4
	I4F      TensorFormat = 5
	I6       TensorFormat = 6
	Codes    TensorFormat = 7
	I8Wild   TensorFormat = 8
	PlainF32 TensorFormat = 16 // any shape: norms, biases, small tables
	// 17 was plain bfloat16, which no file had.
)

// LayoutN16K4 is the layout of every packed format so far; plain formats have layout 0.
const LayoutN16K4 = 1

// Role is what a part is to its tensor.
type Role string

// Roles of parts; the elements are those of linear.Weight.
const (
	RoleData   Role = "data"
	RoleGroups Role = "groups" // one byte a group and column
	RoleGScale Role = "gscale" // f32 a group and column
	RoleScale  Role = "scale"  // f32 a column
	RoleSum    Role = "sum"    // i32 a column
	RoleWild   Role = "wild"   // i32 a wild column, of format I8Wild; RoleWildW are their weights, f32
	RoleWildW  Role = "wildw"

	// Of format Codes, see linear.Coded: RoleGroups are the zeros, RoleGScale the scales in the form that CodeInfo says.
	RoleGOffset   Role = "goffset"   // offsets in the form that CodeInfo says
	RoleSuper     Role = "super"     // f32 for each 256 places and column, of scales that are products
	RoleSuperOffs Role = "superoffs" // likewise of offsets
	RoleTable     Role = "table"     // f32 a code
	RoleOrder     Role = "order"     // i32 a place
)

var roles = []Role{RoleData, RoleGroups, RoleGScale, RoleScale, RoleSum, RoleGOffset, RoleSuper, RoleSuperOffs, RoleTable, RoleOrder, RoleWild, RoleWildW}

// CodeInfo is what the parts of a tensor of format Codes are.
type CodeInfo struct {
	Bits   int     `json:"bits"`
	Zero   int     `json:"zero,omitempty"`   // of all groups
	Factor float32 `json:"factor,omitempty"` // of all scaled values, 0: there is none
	Scale  string  `json:"scale"`            // form of the scales: f32, f16, bf16, e8m0, i8*f32
	Offset string  `json:"offset,omitempty"` // form of the offsets, "": there are none
	Source string  `json:"source,omitempty"` // what the checkpoint calls the type

	Inputs     string  `json:"inputs,omitempty"`      // rule by which inputs are rounded (numerics N10.4), "": they are not
	InputScale float32 `json:"input_scale,omitempty"` // of the static rules
	InputZero  int32   `json:"input_zero,omitempty"`  // of int8-static
}

// optional are the parts that a tensor of format Codes may have.
var optional = []Role{RoleGroups, RoleGOffset, RoleSuper, RoleSuperOffs, RoleTable, RoleOrder}

// schemes lists the formats that weights of a scheme may have besides PlainF32, which is for constants that no linear
// layer multiplies with (spec/qpt.md, "Schemes and formats").
var schemes = map[string][]TensorFormat{
	"f32": {F32}, "bf16": {BF16},
	"a16w8": {I8}, "a16w6": {I6}, "a16w4": {I4, I4F},
	"da8w8": {I8, I8Wild}, "da8w6": {I6}, "da8w4": {I4, I4F},
	"s8s8": {I8}, "keep": {Codes},
}

// tensorFormats lists the parts that each format must have.
var tensorFormats = map[TensorFormat]struct {
	name  string
	parts []Role
	plain int64 // bytes a number of a plain format, 0 for packed ones
}{
	F32:      {"f32", []Role{RoleData}, 0},
	BF16:     {"bf16", []Role{RoleData}, 0},
	I8:       {"i8", []Role{RoleData, RoleScale, RoleSum}, 0},
	I4:       {"i4", []Role{RoleData, RoleGroups, RoleScale, RoleSum}, 0},
	I4F:      {"i4f", []Role{RoleData, RoleGroups, RoleGScale}, 0},
	I6:       {"i6", []Role{RoleData, RoleGroups, RoleScale, RoleSum}, 0},
	Codes:    {"codes", []Role{RoleData, RoleGScale}, 0},
	I8Wild:   {"i8 with wild columns", []Role{RoleData, RoleScale, RoleSum, RoleWild, RoleWildW}, 0},
	PlainF32: {"plain f32", []Role{RoleData}, 4},
}

func (t TensorFormat) String() string {
	if f, ok := tensorFormats[t]; ok {
		return f.name
	}
	return fmt.Sprintf("format %d", uint16(t))
}

// Tensor is one entry of the tensor directory.
type Tensor struct {
	Name   string       `json:"name"`  // as in the graph's Params
	Shape  []int        `json:"shape"` // before padding; [N, K] for packed formats
	Format TensorFormat `json:"format"`
	Layout int          `json:"layout,omitempty"`  // LayoutN16K4, or 0 for plain formats
	Group  int          `json:"group,omitempty"`   // I4, I4F, I6, Codes: weights a group along K
	Codes  *CodeInfo    `json:"codes,omitempty"`   // Codes
	Scheme string       `json:"scheme"`            // "da8w4": tells also how activations are treated
	Reason string       `json:"reason,omitempty"`  // why it is kept at higher precision than asked for
	SQNR   float64      `json:"sqnr_db,omitempty"` // of the weights, measured when converting; 0 when exact
	Parts  []Part       `json:"parts"`
}

// Part is a run of bytes of a weights section.
type Part struct {
	Role    Role   `json:"role"`
	Section string `json:"section"`
	Offset  int64  `json:"offset"` // in the decoded section, a multiple of 64
	Size    int64  `json:"size"`
}

// Part returns the part of that role, or false.
func (t *Tensor) Part(r Role) (Part, bool) {
	for _, p := range t.Parts {
		if p.Role == r {
			return p, true
		}
	}
	return Part{}, false
}

const (
	partAlign = 64
	maxRank   = 8
	maxName   = 1024
	maxElems  = 1 << 48

	maxTensors = 1 << 16
)

// directory is the JSON of the section "tensors".
type directory struct {
	Tensors bounded[Tensor] `json:"tensors"`
}

// Tensors reads the tensor directory. Every part is known to lie in its
// section then; whether its size suits a packed format is for the kernels to say.
func (f *File) Tensors() ([]Tensor, error) {
	b, err := f.read(KindTensors)
	if err != nil {
		return nil, err
	}
	var dir directory
	if err := decodeJSON(b, &dir, ErrTensors); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	if err := checkTensors(dir.Tensors, f.sections); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return dir.Tensors, nil
}

// WriteTensors writes the tensor directory; the weights sections must be
// closed by then.
func (w *Writer) WriteTensors(ts []Tensor) error {
	if err := checkTensors(ts, w.sections); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return w.writeJSON(KindTensors, directory{ts})
}

func checkTensors(ts []Tensor, sections []Section) error {
	sizes := map[string]int64{}
	for _, s := range sections {
		if s.Kind == KindWeights {
			sizes[s.Name] = s.Size
		}
	}
	type placed struct {
		Part
		tensor string
	}
	var all []placed
	seen := make(map[string]bool, len(ts))
	for i := range ts {
		t := &ts[i]
		if seen[t.Name] {
			return fmt.Errorf("tensor %q: %w: it occurs twice", t.Name, ErrTensorName)
		}
		seen[t.Name] = true
		if err := t.check(sizes); err != nil {
			return fmt.Errorf("tensor %d %q: %w", i, t.Name, err)
		}
		for _, p := range t.Parts {
			all = append(all, placed{p, t.Name})
		}
	}
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.Section, b.Section), cmp.Compare(a.Offset, b.Offset))
	})
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; a.Section == b.Section && a.Offset+a.Size > b.Offset {
			return fmt.Errorf("tensor %q: %w: %s at 0x%x of section %q and %s of tensor %q, which ends at 0x%x",
				b.tensor, ErrPartOverlap, b.Role, b.Offset, b.Section, a.Role, a.tensor, a.Offset+a.Size)
		}
	}
	return nil
}

// goodName tells whether s may name a tensor or a value.
func goodName(s string) bool { return s != "" && len(s) <= maxName && utf8.ValidString(s) }

// check checks one tensor against the sizes of the weights sections.
func (t *Tensor) check(sizes map[string]int64) error {
	if !goodName(t.Name) {
		return fmt.Errorf("%w: must be 1 to %d bytes of UTF-8", ErrTensorName, maxName)
	}
	f, ok := tensorFormats[t.Format]
	if !ok {
		return fmt.Errorf("%w: %d; use a newer qpt", ErrTensorFormat, uint16(t.Format))
	}
	rank, elems := len(t.Shape), int64(1)
	if rank == 0 || rank > maxRank || f.plain == 0 && rank != 2 {
		return fmt.Errorf("%w: %v, must have 1 to %d dimensions, and 2 when packed", ErrTensorShape, t.Shape, maxRank)
	}
	for _, d := range t.Shape {
		if d <= 0 || int64(d) > maxElems/elems {
			return fmt.Errorf("%w: %v, dimensions must be positive and their product at most 2^48", ErrTensorShape, t.Shape)
		}
		elems *= int64(d)
	}
	layout := LayoutN16K4
	if f.plain != 0 {
		layout = 0
	}
	if t.Layout != layout {
		return fmt.Errorf("%w: %d, want %d for %s; use a newer qpt", ErrTensorLayout, t.Layout, layout, t.Format)
	}
	groups := []int{0}
	if t.Format == I4 || t.Format == I4F || t.Format == I6 {
		groups = []int{16, 32, 64, 128}
	}
	if t.Format == Codes {
		if t.Group < 1 || t.Group > t.Shape[1] {
			return fmt.Errorf("%w: %d, want 1 to %d for %s", ErrTensorGroup, t.Group, t.Shape[1], t.Format)
		}
	} else if !slices.Contains(groups, t.Group) {
		return fmt.Errorf("%w: %d, want one of %v for %s", ErrTensorGroup, t.Group, groups, t.Format)
	}
	if math.IsNaN(t.SQNR) || math.IsInf(t.SQNR, 0) {
		return fmt.Errorf("sqnr of %v dB: must be finite, 0 for an exact copy", t.SQNR)
	}
	fits, ok := schemes[t.Scheme]
	if !ok {
		return fmt.Errorf("%w: %.40q; use a newer qpt", ErrScheme, t.Scheme)
	}
	if !slices.Contains(fits, t.Format) && (t.Scheme != "f32" || f.plain == 0) {
		return fmt.Errorf("%w: scheme %s cannot be stored as %s", ErrStoredAs, t.Scheme, t.Format)
	}
	for _, p := range t.Parts {
		if !slices.Contains(roles, p.Role) {
			return fmt.Errorf("%w: %.40q; use a newer qpt", ErrRole, p.Role)
		}
	}
	more := 0
	if (t.Format == Codes) != (t.Codes != nil) {
		return fmt.Errorf("%w: the key codes goes with format %s, and it alone", ErrPartRole, Codes)
	}
	for i, p := range t.Parts {
		if t.Format == Codes && slices.Contains(optional, p.Role) {
			more++
		}
		if slices.ContainsFunc(t.Parts[:i], func(q Part) bool { return q.Role == p.Role }) {
			return fmt.Errorf("%w: %s is there twice", ErrPartRole, p.Role)
		}
	}
	if len(t.Parts) != len(f.parts)+more {
		return fmt.Errorf("%w: %d parts, %s has %v", ErrPartRole, len(t.Parts), t.Format, f.parts)
	}
	for _, r := range f.parts {
		if _, ok := t.Part(r); !ok {
			return fmt.Errorf("%w: %s is missing, %s has %v", ErrPartRole, r, t.Format, f.parts)
		}
	}
	for _, p := range t.Parts {
		size, ok := sizes[p.Section]
		switch {
		case !ok:
			return fmt.Errorf("%s: %w: section %q", p.Role, ErrPartSection, p.Section)
		case p.Offset < 0 || p.Offset%partAlign != 0:
			return fmt.Errorf("%s: %w: 0x%x", p.Role, ErrPartOffset, p.Offset)
		case p.Size <= 0 || p.Offset > size || p.Size > size-p.Offset:
			return fmt.Errorf("%s: %w: %d bytes at 0x%x, section %q has %d", p.Role, ErrPartBounds, p.Size, p.Offset, p.Section, size)
		case f.plain != 0 && p.Size != elems*f.plain:
			return fmt.Errorf("%s: %w: %d bytes, want %d", p.Role, ErrPartSize, p.Size, elems*f.plain)
		}
	}
	return nil
}
