//go:build !purego

package linear

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"qpt/internal/cpu"
)

// dotTwin is dotI8AMX in Go: 2h rows of two blocks, times over.
func dotTwin(a *dotArgs) {
	c := unsafe.Slice(a.c, a.times*2*a.h*32)
	for i := range a.times * 2 * a.h {
		row, j := a.a0, i%(2*a.h)
		if j >= a.h {
			row, j = a.a1, j-a.h
		}
		x := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(row), i/(2*a.h)*a.nexta+j*a.lda)), a.k)
		for b := range 2 {
			w := unsafe.Slice((*int8)(unsafe.Add(unsafe.Pointer(a.w), b*a.ws)), a.k*16)
			for n := range 16 {
				sum := &c[i*32+b*16+n]
				if a.more == 0 {
					*sum = 0
				}
				for k, v := range x {
					*sum += int32(v) * int32(w[k/4*64+n*4+k%4])
				}
			}
		}
	}
}

// TestLinearDriver runs the driver with tiles of AMX's shape on machines without
// it: what is around the tiles (runs of rows, tails, planes, panels of int4, passes, chunks of K) is the same code.
func TestLinearDriver(t *testing.T) {
	if !cpu.Has(cpu.AVX2) {
		t.Skip("no AVX2 on this machine: no epilogue")
	}
	v := vector{
		i8: way{tiles: []tile{{blocks: 2, rows: append([]func(*dotArgs){nil}, slices.Repeat([]func(*dotArgs){dotTwin}, 16)...)}}},
		i6: way{expand: expandI6AVX2}, i4: way{expand: expandI4AVX2}, epilogue: epilogueAVX2,
	}
	rng := rand.New(rand.NewPCG(21, 22))
	for _, f := range []Format{I8, I6, I4} {
		for _, form := range []ActForm{A8, A16} {
			for _, m := range []int{1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 70, 133} {
				w := randomWeight(rng, f, 1+rng.IntN(90), 1+rng.IntN(200), 32, false, true)
				x := randomActs(rng, form, m, w.K, false)
				want, got := newGuarded(m, w.N, 3), newGuarded(m, w.N, 3)
				linearGeneric(want.y(), want.ldy, x, w, 0, w.Blocks(), false, new(Scratch))
				b := rng.IntN(w.Blocks() + 1)
				v.tall = rng.IntN(4)
				v.chunk = 64 * rng.IntN(3)
				var s Scratch
				v.linear(got.y()[min(16*b, len(got.y())):], got.ldy, x, w, b, w.Blocks(), false, &s)
				v.linear(got.y(), got.ldy, x, w, 0, b, false, &s)
				if err := got.diff(want); err != nil {
					t.Fatalf("%s: %v", fmt.Sprintf("%s %s %dx%dx%d", f, form, m, w.N, w.K), err)
				}
			}
		}
	}
}
