//go:build !purego

package linear

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"unsafe"

	"qpt/internal/cpu"
)

// panelTwin is dotI8AMX in Go: tiles of 2h rows by two blocks.
func panelTwin(a *amxArgs) {
	c := unsafe.Slice(a.c, a.tiles*2*a.h*32)
	for i := range c {
		tile, r, b, n := i/32/(2*a.h), i/32%(2*a.h), i%32/16, i%16
		row := a.a0
		if r >= a.h {
			row, r = a.a1, r-a.h
		}
		x := unsafe.Slice(at(row, tile*(a.nexta+64*a.steps)+r*a.lda), 64*a.steps)
		w := unsafe.Slice((*int8)(unsafe.Pointer(at(a.w, b*a.ws))), 1024*a.steps)
		if a.more == 0 {
			c[i] = 0
		}
		for k, v := range x {
			c[i] += int32(v) * int32(w[k/4*64+n*4+k%4])
		}
	}
}

// TestLinearDriver runs the driver of panels on machines without AMX too: what is
// around the tiles (runs of rows, tails, planes, expanded weights, passes, parts of K) is the same code.
func TestLinearDriver(t *testing.T) {
	if !cpu.Has(cpu.AVX2) {
		t.Skip("no AVX2 on this machine: no epilogue")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // pointers to rows that are not there are for assembly, which is never stopped
	v := vector{i8: way{panels: panelTwin}, i6: way{expand: expandI6AVX2}, i4: way{expand: expandI4AVX2}, epilogue: epilogueAVX2}
	rng := rand.New(rand.NewPCG(21, 22))
	for _, f := range []Format{I8, I6, I4} {
		for _, form := range []ActForm{A8, A16} {
			for _, m := range []int{1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 70, 133} {
				w := randomWeight(rng, f, 1+rng.IntN(90), 1+rng.IntN(200)*(1+m/33*rng.IntN(12)), 32, false, true)
				x := randomActs(rng, form, m, w.K, false)
				want, got := newGuarded(m, w.N, 3), newGuarded(m, w.N, 3)
				linearGeneric(want.y(), want.ldy, x, w, 0, w.Blocks(), false, new(Scratch))
				b := rng.IntN(w.Blocks() + 1)
				var s Scratch
				v.linearPanels(got.y()[min(16*b, len(got.y())):], got.ldy, x, w, b, w.Blocks(), false, &s)
				v.linearPanels(got.y(), got.ldy, x, w, 0, b, false, &s)
				if err := got.diff(want); err != nil {
					t.Fatalf("%s: %v", fmt.Sprintf("%s %s %dx%dx%d", f, form, m, w.N, w.K), err)
				}
			}
		}
	}
}

// TestLinearWhole: four blocks of I8 take six rows a turn, however calls cut them, and give the twin's bits; what is left of rows and columns goes the other way.
func TestLinearWhole(t *testing.T) {
	if !cpu.Has(cpu.AVX512) {
		t.Skip("no AVX-512 on this machine")
	}
	rng := rand.New(rand.NewPCG(23, 24))
	for _, m := range []int{1, 5, 6, 7, 11, 12, 29, 30, 48, 61} {
		for _, n := range []int{63, 64, 65, 192, 250} {
			plain := randomWeight(rng, I8, n, 1+rng.IntN(200)*(1+m/48*20), 0, m%2 == 0, n%2 == 0)
			rows := randomActs(rng, A8, m, plain.K, m%2 == 0)
			for _, some := range []bool{false, true} {
				x, w := rows, plain
				if some {
					x, w = wild(rng, rows, plain)
				}
				turns, calls := 0, 0
				v := avx512
				v.whole = func(a *wholeArgs) {
					turns, calls = turns+a.turns, calls+1
					wholeI8AVX512(a)
				}
				add := m%3 == 0
				want, got := newGuarded(m, n, 3), newGuarded(m, n, 3)
				linearGeneric(want.y(), want.ldy, x, w, 0, w.Blocks(), add, new(Scratch))
				v.linear(got.y(), got.ldy, x, w, 0, w.Blocks(), add, new(Scratch))
				name := fmt.Sprintf("%dx%dx%d, %d wild columns", m, n, w.K, len(w.Wild))
				if err := got.diff(want); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if turns != m/6*(n/64) || turns > 0 && calls < n/64 {
					t.Errorf("%s: %d turns in %d calls", name, turns, calls)
				}
			}
		}
	}
}
