package attn

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"qpt/internal/cpu"
	"qpt/kernels/elem"
	"qpt/kernels/internal/ktest"
	"qpt/kernels/internal/mem"
)

// history is a cache and, apart from it, what it must hold.
type history struct {
	kv   *KV
	k, v []float32 // [positions][width]
	top  int       // it must hold positions from top-Slack on, if it has as many
}

// check compares with a cache filled in one piece: saved bytes, and what a query at the last position gets.
func (h *history) check(t *testing.T, heads int, q []float32) {
	t.Helper()
	kv := h.kv
	want := NewPool(0).NewKV(kv.Type, kv.heads, kv.headDim).Windowed(kv.window)
	want.Append(0, h.k, h.v)
	a, _ := kv.AppendBinary(nil)
	b, _ := want.AppendBinary(nil)
	if !slices.Equal(a, b) || len(a) != kv.SavedBytes() {
		t.Errorf("%d positions: other contents than a cache filled in one piece", kv.Len())
		return
	}
	if kv.Len() == 0 || kv.high > kv.len || kv.from > kv.first(kv.Len()-1) { // restored, it holds what the next query sees
		return
	}
	attend := func(kv *KV) []float32 {
		out := make([]float32, len(q))
		var s Scratch
		for head := range kv.heads {
			Attention(out, len(q), q, len(q), []int32{int32(kv.Len() - 1)}, kv, head, Spec{Heads: heads, Scale: 0.2, Mask: Mask{Causal: true, Window: kv.window}}, &s)
		}
		return out
	}
	if got, want := attend(kv), attend(want); !slices.EqualFunc(got, want, ktest.Same) {
		t.Errorf("%d positions: attention differs from that to a cache filled in one piece", kv.Len())
	}
}

// TestPages drives caches of one pool through random histories, several goroutines at once, each with its own
// forks: grow and put in random cuts, truncate, fork, save and restore, release, and a budget that is often too small. Half of
// them have windows and give up what lies before.
// Now and then NaN lies where it was forgotten.
func TestPages(t *testing.T) {
	const heads = 4
	pool := NewPool(int64(9 * PageBytes(KVF32, 2, 24, 0)))
	var work sync.WaitGroup
	var full, forgot atomic.Int32
	for g := 0; g < 6 || full.Load() == 0 && g < 60; g++ { // how they meet decides whether the budget is reached: until it was
		if g >= 6 && g%6 == 0 {
			work.Wait()
		}
		work.Go(func() {
			rng := rand.New(rand.NewPCG(31, uint64(g)))
			typ := KVType(g % 3)
			const kvHeads, dim = 2, 24
			q := ktest.Mixed(rng, heads*dim, false)
			window := []int{0, 40, 1, 0, 129, 40}[g%6]
			all := []*history{{kv: pool.NewKV(typ, kvHeads, dim).Windowed(window)}}
			for range 70 {
				h := all[rng.IntN(len(all))]
				width := kvHeads * dim
				switch rng.IntN(8) {
				default: // append, often after going back
					pos := h.kv.Len()
					if rng.IntN(3) == 0 {
						pos = h.back(t, rng.IntN(pos+1))
					}
					n := 1 + rng.IntN(8)
					if rng.IntN(4) == 0 {
						n = rng.IntN(300)
					}
					before, held := h.kv.Len(), len(h.kv.pages)
					if err := h.kv.Grow(pos, n); err != nil {
						if !errors.Is(err, ErrBudget) || h.kv.Len() != before || len(h.kv.pages) != held {
							t.Errorf("%v; %d of %d positions and %d of %d pages left", err, h.kv.Len(), before, len(h.kv.pages), held)
							return
						}
						full.Add(1)
						break
					}
					k, v := ktest.Mixed(rng, n*width, false), ktest.Mixed(rng, n*width, false)
					if rng.IntN(4) == 0 { // forgotten at once
						bad := slices.Repeat([]float32{float32(math.NaN())}, n*width)
						h.kv.Put(pos, bad, bad)
						h.kv.Truncate(pos)
						h.k, h.v = h.k[:pos*width:pos*width], h.v[:pos*width:pos*width]
						break
					}
					for i := n; i > 0; {
						j := max(0, i-1-rng.IntN(100))
						h.kv.Put(pos+j, k[j*width:i*width], v[j*width:i*width])
						i = j
					}
					h.k, h.v = append(h.k[:pos*width:pos*width], k...), append(h.v[:pos*width:pos*width], v...)
					if rng.IntN(2) == 0 {
						h.kv.Forget()
						h.top = max(h.top, h.kv.Len())
						if n := len(h.kv.pages) - h.kv.from/PageLen; n > PagesFor(h.kv.Len(), window, 0) {
							t.Errorf("%d pages of %d positions with a window of %d", n, h.kv.Len(), window)
						}
						forgot.Add(int32(h.kv.from))
					}
				case 4:
					n := h.back(t, rng.IntN(h.kv.Len()+1))
					h.kv.Truncate(n)
					h.k, h.v = h.k[:n*width:n*width], h.v[:n*width:n*width]
				case 5:
					if len(all) < 6 {
						all = append(all, &history{h.kv.Fork(), slices.Clone(h.k), slices.Clone(h.v), h.top})
					}
				case 6:
					b, _ := h.kv.AppendBinary([]byte{9})
					other := pool.NewKV(typ, kvHeads, dim).Windowed(window)
					rest, err := other.Restore(append(b[1:], 5, 6))
					if err != nil {
						if !errors.Is(err, ErrBudget) || other.Len() != 0 {
							t.Error(err)
						}
						break
					}
					if !slices.Equal(rest, []byte{5, 6}) {
						t.Errorf("%d bytes left", len(rest))
					}
					h.kv.Release()
					h.kv, h.top = other, other.Len()+Slack
				case 7:
					if len(all) > 1 {
						h.kv.Release()
						all = slices.DeleteFunc(all, func(o *history) bool { return o == h })
						h = all[0]
					}
				}
				h.check(t, heads, q)
			}
			for _, h := range all {
				h.check(t, heads, q)
				h.kv.Release()
			}
		})
	}
	work.Wait()
	if n := pool.Used(); n != 0 {
		t.Errorf("%d bytes in use after all is released", n)
	}
	if forgot.Load() == 0 {
		t.Error("nothing was ever given up")
	}
	if full.Load() == 0 {
		t.Error("the budget was never reached: the test tests less than it says")
	}
}

// back is n, or Len if what goes before n is gone: then Truncate(n) leaves nothing, as a fork shows.
func (h *history) back(t *testing.T, n int) int {
	if h.kv.Holds(n) {
		return n
	}
	if f := h.kv.Fork(); n > 0 {
		if f.Truncate(n); f.Len() != 0 || n+Slack >= h.top {
			t.Errorf("%d positions with a window of %d cut back to %d: %d are left", h.kv.Len(), h.kv.window, n, f.Len())
		}
		f.Release()
	}
	return h.kv.Len()
}

// TestBudget: what the pool counts, shares and keeps.
func TestBudget(t *testing.T) {
	size := int64(PageBytes(KVBF16, 2, 64, 0))
	if want := int64(128 * 2 * 2 * 64 * 2); size != want {
		t.Fatalf("a page has %d bytes, want %d", size, want)
	}
	pool := NewPool(3 * size)
	a := pool.NewKV(KVBF16, 2, 64)
	grow := func(kv *KV, pos, n int, want error, used int64) {
		t.Helper()
		if err := kv.Grow(pos, n); !errors.Is(err, want) {
			t.Fatalf("Grow(%d, %d): %v, want %v", pos, n, err, want)
		}
		if pool.Used() != used*size {
			t.Fatalf("%d bytes in use, want %d pages of %d", pool.Used(), used, size)
		}
	}
	grow(a, 0, 130, nil, 2)
	b := a.Fork()
	grow(a, 130, 126, nil, 3)     // the second page becomes its own
	grow(b, 130, 1, nil, 3)       // and the old one was b's alone
	grow(b, 100, 1, ErrBudget, 3) // the first is shared
	if b.Len() != 131 {
		t.Errorf("%d positions after an error", b.Len())
	}
	grow(a, 256, 1, ErrBudget, 3)
	a.Truncate(128)
	grow(b, 100, 1, nil, 2) // its second page is no longer needed
	a.Release()
	b.Release()
	if len(pool.free[int(size)]) == 0 {
		t.Error("no page is kept for the next cache")
	}
	c := pool.NewKV(KVF32, 2, 64) // twice the size
	if err := c.Grow(0, 1); err != nil || pool.used+pool.spare > pool.Budget() {
		t.Errorf("%v; %d bytes in use and %d spare of %d", err, pool.used, pool.spare, pool.Budget())
	}
	if n := unsafe.Sizeof(*a); n > 72 {
		t.Errorf("an empty cache takes %d bytes", n)
	}
}

func TestRestoreErrors(t *testing.T) {
	pool := NewPool(0)
	kv := pool.NewKV(KVI8, 2, 8)
	x := make([]float32, 16)
	if err := kv.Append(0, x, x); err != nil {
		t.Fatal(err)
	}
	good, _ := kv.AppendBinary(nil)
	for name, spoil := range map[string]func(b []byte) []byte{
		"header":    func(b []byte) []byte { return b[:19] },
		"type":      func(b []byte) []byte { b[0] = 1; return b },
		"reserved":  func(b []byte) []byte { b[2] = 1; return b },
		"heads":     func(b []byte) []byte { b[4] = 3; return b },
		"dim":       func(b []byte) []byte { b[8] = 9; return b },
		"positions": func(b []byte) []byte { b[15] = 255; return b },
		"first":     func(b []byte) []byte { b[16] = 1; return b },
		"rows":      func(b []byte) []byte { return b[:len(b)-1] },
	} {
		if _, err := kv.Restore(spoil(slices.Clone(good))); !errors.Is(err, ErrSaved) || kv.Len() != 1 {
			t.Errorf("%s: %v, %d positions", name, err, kv.Len())
		}
	}
	if rest, err := kv.Restore(good); err != nil || len(rest) != 0 {
		t.Error(err)
	}
}

// TestShared: nothing writes to a page that two caches hold, and what was forgotten is not looked at.
func TestShared(t *testing.T) {
	kv := NewPool(0).NewKV(KVF32, 1, 8)
	x := make([]float32, 8)
	if err := kv.Append(0, x, x); err != nil {
		t.Fatal(err)
	}
	panics := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", what)
			}
		}()
		f()
	}
	fork := kv.Fork()
	panics("Put into a shared page", func() { kv.Put(0, x, x) })
	fork.Release()
	kv.Put(0, x, x)
	if err := kv.Append(1, x, x); err != nil {
		t.Fatal(err)
	}
	kv.Truncate(1)
	panics("Attention after Truncate", func() {
		Attention(x, 8, x, 8, []int32{0}, kv, 0, Spec{Heads: 1, Scale: 1}, new(Scratch))
	})
}

// TestPut: rows stored together lie as the twins put them one by one, from any position on and any number of them, and nothing else changes.
func TestPut(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		if (active().putKeys == nil) != (isa < cpu.AVX512) {
			t.Errorf("%v has no kernel for rows together, or one that it should not have", isa)
		}
		for _, s := range []struct{ heads, dim, values int }{{3, 32, 0}, {2, 64, 0}, {1, 96, 64}, {2, 48, 0}, {2, 20, 0}} {
			for pos := range 35 {
				for _, rows := range []int{1, 2, 3, 15, 16, 17, 33, 100} {
					pool := NewPool(0)
					fresh := func() *KV {
						if s.values > 0 {
							return pool.NewKeys(KVBF16, s.heads, s.dim, s.values)
						}
						return pool.NewKV(KVBF16, s.heads, s.dim)
					}
					got, want := fresh(), fresh()
					for _, kv := range []*KV{got, want} {
						if err := kv.Grow(0, pos); err != nil {
							t.Fatal(err)
						}
						if err := kv.Grow(pos, rows+3); err != nil {
							t.Fatal(err)
						}
					}
					n := rows * s.heads * s.dim
					k, v := ktest.Mixed(rng, n, true), ktest.Mixed(rng, n, true)
					if s.values > 0 {
						v = nil
					}
					got.Put(pos, k, v)
					for r := range rows {
						pg := want.pages[(pos+r)/PageLen]
						for h := range s.heads {
							at := (r*s.heads + h) * s.dim
							putKeyGeneric(want.part(pg, h, 0)[2*want.at(0, pos+r):], k[at:][:s.dim])
							if v != nil {
								putValueGeneric(want.part(pg, h, 1)[2*want.at(1, pos+r):], v[at:][:s.dim])
							}
						}
					}
					for i := range want.pages {
						for h := range s.heads {
							for which := range want.parts {
								if !bytes.Equal(got.part(got.pages[i], h, which), want.part(want.pages[i], h, which)) {
									t.Fatalf("%d heads of %d, %d rows at %d: part %d of head %d differs", s.heads, s.dim, rows, pos, which, h)
								}
							}
						}
					}
				}
			}
		}
	})
}

// TestQueries: rows of queries together are those that are rounded and packed one by one.
func TestQueries(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		l := active()
		if (l.queries == nil) != (l.pack == nil) {
			t.Errorf("%v packs queries, but not rows together, or the other way round", isa)
		}
		if l.queries == nil {
			return
		}
		for _, n := range []int{32, 64, 160} {
			for _, rows := range []int{1, 2, 7, 33} {
				ldx := n + 5
				x := ktest.Mixed(rng, rows*ldx, true)[:(rows-1)*ldx+n]
				got, want, wide := make([]uint16, rows*n+1), make([]uint16, rows*n+1), make([]float32, n)
				for r := range rows {
					elem.RoundBF16(want[r*n:], wide, x[r*ldx:][:n], 0.3)
				}
				l.pack(want, want[:rows*n])
				if l.queries(got, x, ldx, rows, n, 0.3); !slices.Equal(got, want) {
					t.Errorf("%d rows of %d: not those of one by one", rows, n)
				}
			}
		}
	})
}

// TestLay: what a page held before changes no result, whatever part of a block is in use.
func TestLay(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	ktest.Levels(t, func(t *testing.T, _ cpu.ISA) {
		for _, kt := range []KVType{KVF32, KVBF16, KVI8} {
			for _, s := range []struct{ heads, dim, values int }{{2, 32, 0}, {1, 64, 0}, {2, 20, 0}, {1, 96, 64}} {
				for _, rows := range []int{1, 2, 15, 16, 17, 31, 32, 33, 50, 130} {
					pool := NewPool(0)
					fresh := func() *KV {
						if s.values > 0 {
							return pool.NewKeys(kt, s.heads, s.dim, s.values)
						}
						return pool.NewKV(kt, s.heads, s.dim)
					}
					want, got := fresh(), fresh()
					if err := want.Grow(0, rows); err != nil {
						t.Fatal(err)
					}
					if err := got.Grow(0, rows); err != nil {
						t.Fatal(err)
					}
					for _, pg := range got.pages {
						mem.Fill(pg.data, 0xff) // NaN
					}
					old := got.pages[0]
					got.Release()
					if err := got.Lay(rows); err != nil {
						t.Fatal(err)
					}
					if !slices.Contains(got.pages, old) {
						t.Fatal("the pages are others")
					}
					k, v := ktest.Student(rng, rows*s.heads*s.dim, 5), ktest.Student(rng, rows*s.heads*s.dim, 5)
					wide := s.dim
					if s.values > 0 {
						v, wide = nil, s.values
					}
					q, pos := ktest.Student(rng, 3*s.heads*s.dim, 5), []int32{0, int32(rows / 2), int32(rows - 1)}
					var out [2][]float32
					for i, kv := range []*KV{want, got} {
						kv.Put(0, k, v)
						out[i] = make([]float32, 3*s.heads*wide)
						for h := range s.heads {
							Attention(out[i], s.heads*wide, q, s.heads*s.dim, pos, kv, h, Spec{Heads: s.heads, Scale: 0.2}, new(Scratch))
						}
					}
					if !slices.Equal(out[0], out[1]) {
						t.Fatalf("%v, %d heads of %d, %d positions: %v, want %v", kt, s.heads, s.dim, rows, out[1][:4], out[0][:4])
					}
				}
			}
		}
	})
}
