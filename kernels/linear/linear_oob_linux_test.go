package linear

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"qpt/internal/cpu"
	"qpt/internal/num"
)

// atPageEnd copies v to memory that ends where an unreadable page begins.
func atPageEnd[T any](t *testing.T, v []T) []T {
	if len(v) == 0 {
		return v
	}
	page := syscall.Getpagesize()
	n := len(v) * int(unsafe.Sizeof(v[0]))
	size := num.Pad(n, page)
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	if err := syscall.Mprotect(m[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	out := unsafe.Slice((*T)(unsafe.Pointer(&m[size-n])), len(v))
	copy(out, v)
	return out
}

// TestLinearBounds lets every kernel run with all its operands at the end of
// readable memory: one byte too far is a fault.
func TestLinearBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for _, k := range List() {
		if k.Form != A8 && k.Form != A16 || !cpu.Has(k.ISA) || k.ISA == cpu.Generic {
			continue
		}
		for _, v := range []shape{{1, 16, 1}, {2, 33, 43}, {3, 80, 130}, {6, 97, 100}, {8, 70, 64}, {21, 130, 200}, {37, 17, 70}} {
			w := randomWeight(rng, k.Format, v.n, v.k, 16<<rng.IntN(4), false, true)
			w.Data, w.Groups, w.GroupScale = atPageEnd(t, w.Data), atPageEnd(t, w.Groups), atPageEnd(t, w.GroupScale)
			w.Scale, w.Sum, w.Bias = atPageEnd(t, w.Scale), atPageEnd(t, w.Sum), atPageEnd(t, w.Bias)
			x := randomActs(rng, k.Form, v.m, v.k, false)
			x.Hi, x.Lo, x.Scale, x.Zero = atPageEnd(t, x.Hi), atPageEnd(t, x.Lo), atPageEnd(t, x.Scale), atPageEnd(t, x.Zero)
			want := newGuarded(v.m, v.n, 1)
			y := atPageEnd(t, want.y())
			twin := linearGeneric
			if k.Format == I4F {
				twin = linearI4FGeneric
			}
			twin(want.y(), want.ldy, x, w, 0, w.Blocks(), true, new(Scratch))
			k.linear(y, want.ldy, x, w, 0, w.Blocks(), true, new(Scratch))
			for i, got := range y {
				if got != want.y()[i] {
					t.Fatalf("%s %v: y[%d] = %v, want %v", k.Name(), v, i, got, want.y()[i])
				}
			}
		}
	}
}
