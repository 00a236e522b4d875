package linear

import (
	"fmt"
	"slices"

	"qpt/internal/cpu"
)

// linearFunc is what a linear kernel is: rows of y begin at block b0, and add says to add to what is there.
type linearFunc func(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch)

// sinkFunc is LinearRows.
type sinkFunc func(to Sink, x *Acts, m0, m1 int, w *Weight, b0, b1 int, s *Scratch)

// Kernel is one line of the list that feeds dispatch, tests, benches and
// "qrun --kernels". A new instruction set is a file and its lines.
type Kernel struct {
	Format Format
	Form   ActForm
	ISA    cpu.ISA
	Tile   string // which of the ISA's kernels, "" the one that takes any number of rows
	MinM   int    // rows from which it is chosen
	linear linearFunc
	sink   sinkFunc // nil: results go to the sink tile by tile of linear's
}

// Name is op, scheme, ISA and tile: "linear-a8-i4-amx", "linear-a8-i4-avx2-6x16".
func (k *Kernel) Name() string { return fmt.Sprintf("linear-%s-%s-%s", k.Form, k.Format, k.variant()) }

// variant tells the kernel from others for the same layers.
func (k *Kernel) variant() string {
	if k.Tile == "" {
		return k.ISA.String()
	}
	return k.ISA.String() + "-" + k.Tile
}

// Available tells whether the machine has the kernel's instructions and they are switched on.
func (k *Kernel) Available() bool { return k.ISA <= cpu.Active() && cpu.Has(k.ISA) }

// list holds the best kernel first.
var list = slices.Concat(isaKernels, codedKernels, integers(cpu.Generic, "", 0, linearGeneric), []Kernel{
	{I4F, A8, cpu.Generic, "", 0, linearI4FGeneric, nil},
	{I4F, A16, cpu.Generic, "", 0, linearI4FGeneric, nil},
	{F32, AF32, cpu.Generic, "", 0, linearF32, nil},
	{BF16, ABF16, cpu.Generic, "", 0, linearBF16, nil},
	{Format: Codes, Form: A24, ISA: cpu.Generic, linear: codedGeneric.linear},
	{Format: Codes, Form: AF32, ISA: cpu.Generic, linear: codedGeneric.linearTable},
})

// integers are the lines of a kernel for all integer formats but I4F.
func integers(isa cpu.ISA, tile string, minM int, f linearFunc) (ks []Kernel) {
	for _, format := range []Format{I8, I6, I4} {
		for _, form := range []ActForm{A8, A16} {
			ks = append(ks, Kernel{format, form, isa, tile, minM, f, nil})
		}
	}
	return ks
}

// List returns all kernels that this build holds, best first within a scheme.
func List() []Kernel { return append([]Kernel(nil), list...) }

// choose returns the kernel that a call with m rows runs, nil if there is none.
func choose(f Format, a ActForm, m int) *Kernel {
	for i := range list {
		if k := &list[i]; k.Format == f && k.Form == a && m >= k.MinM && k.Available() {
			return k
		}
	}
	return nil
}

var formatNames = map[Format]string{F32: "f32", BF16: "bf16", I8: "i8", I4: "i4", I4F: "i4f", I6: "i6", Codes: "codes"}

func (f Format) String() string {
	if s, ok := formatNames[f]; ok {
		return s
	}
	return fmt.Sprintf("format(%d)", uint16(f))
}

var formNames = map[ActForm]string{AF32: "f32", ABF16: "bf16", A8: "a8", A16: "a16", A24: "a24"}

func (a ActForm) String() string {
	if s, ok := formNames[a]; ok {
		return s
	}
	return fmt.Sprintf("form(%d)", uint8(a))
}
