package conv

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"qpt/kernels/internal/mem"
)

// Winograd is a direct convolution of 3 x 3 on codes whose places lie one apart, with a fourth of the products: a tile of 4 x 4 places needs 36 for each pair of features in place of 144. With B, G and A as
// in Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), F(4x4, 3x3), the tile is
//
//	Y = A [ (G w G') * (B x B') ] A'
//
// where x is 6 x 6 codes, and * a product for each of 36 places, summed over the features. All of it is integers: B has such; rows of G are times 24, -24, -24, 24, 24 and 3, so that A has
// such too (its columns turned back, 8 in the last) and gives 24 Y a dimension, 576 Y at the end. B x B' are at most 25500 and G w G' at most 18432: both are words, and pairs of their products are what
// VPMADDWD and VPDPWSSD add. Sums wrap, as they may: 576 Y modulo 2^32 times the inverse of 9 is 64 Y modulo 2^32, and since Y, which a block of weights bounds, is within 25 bits and a sign, that is Y. So
// the sums are those of any other way, bit for bit (numerics N3.5).
//
// Weights are transformed when they are needed: as words they take eight times the memory. A worker keeps those of its last columns. Cut says where all this takes less time than direct
// products: on AVX-512, whose products of words are half as fast as those of bytes, layers of 64 to 512 features and some hundred places 1.2 to 1.6 times less (roof: 2 where tiles fill a picture, 1.53
// at 7 x 7 and 14 x 14); on AVX2, where direct products are of words too, 2.3 to 3.4 times (roof: 4 and 3.06). 36 rows of a power of two bytes would lie in the same sets of the caches, and did: transforming weights took four times as long.
type Winograd struct {
	*Direct
	across, down int // tiles of an image
	padding      []byte
	start        []int32 // 576 times that of Direct
	last         atomic.Pointer[winogradCut]
}

// winogradKernels are of an instruction set: blocks of columns that are multiplied at a time, the tiles a multiple of which are.
type winogradKernels struct {
	blocks, tiles             int
	cost                      winogradCost
	inputs, weights, products func(a *winogradArgs)
	end                       func(a *directArgs)
}

// winogradArgs is tiles and blocks of columns.
type winogradArgs struct {
	keep      [2]unsafe.Pointer
	table     *uintptr // [tiles][36]: pixels
	v         *int16   // [36][tiles][c]
	vstep     int      // bytes of one of the 36
	c         int      // features, a multiple of 16
	tiles     int
	half      int    // of weights: positions from 0 or from 18 on
	positions int    // of products
	w         *byte  // a block of weights
	u         *int16 // [36][c/2][blocks][16][2]
	ustep     int
	upair     int    // bytes of a pair of features
	m         *int32 // [tiles][36][blocks][16]
	work      *byte
}

// winogradTile is a tile of the result: its first place, and how many of its places and lines there are.
type winogradTile struct{ at, places, lines int }

// winogradWork is working memory.
type winogradWork struct {
	of      *Winograd // whose weights u are
	b0, b1  int
	u, v, m []byte
	table   []uintptr
	tiles   []winogradTile
	work    []byte
	args    winogradArgs
}

// Winograd is d with fewer products; nil where there are no kernels for it, or sums might be too large for it.
func (d *Direct) Winograd() *Winograd {
	one, s := [3]int{1, 1, 1}, &d.Shape
	if d.unit != 1 || d.kernels.winograd == nil || s.Kernel != [3]int{1, 3, 3} || s.Stride != one || s.Dilation != one || s.Groups != 1 || s.Transposed || s.C%16 != 0 || s.In[0] != 1 || s.Out[0] != 1 || s.Before[0] != 0 {
		return nil
	}
	if !d.small() {
		return nil
	}
	w := &Winograd{Direct: d, across: (s.Out[2] + 3) / 4, down: (s.Out[1] + 3) / 4, padding: make([]byte, s.C)}
	mem.Fill(w.padding, d.padding[0])
	w.start = make([]int32, len(d.start))
	for i, v := range d.start {
		w.start[i] = 576 * v // modulo 2^32, as the sums are
	}
	return w
}

// small tells whether sums of codes and weights are within 25 bits and a sign.
func (d *Direct) small() bool {
	const most = 1 << 25 / 255
	if 128*d.K() < most {
		return true
	}
	for b := range d.Blocks() {
		var above, below [16]int
		for i, w := range d.weights[b*d.block:][:d.block] {
			if v := int(int8(w)); v > 0 {
				above[i/4%16] += v
			} else {
				below[i/4%16] -= v
			}
		}
		for i := range above {
			if above[i] >= most || below[i] >= most {
				return false
			}
		}
	}
	return true
}

// winogradCost is measured cycles, of direct products too: of a product for a tile of a feature and a column, or a place; of the input of a tile and a feature; of the end of a tile and a column; of a
// weight's transformation, and of reading it; of an item.
type winogradCost struct{ product, direct, input, end, weight, read, item float64 }

// winogradCut is how tiles and blocks fall into items.
type winogradCut struct {
	images, workers, tiles, blocks int
	ok                             bool
}

// Cut is how many tiles and blocks an item should have, of so many images for so many workers; false if direct products take less time.
func (w *Winograd) Cut(images, workers int) (tiles, blocks int, ok bool) {
	c := w.last.Load()
	if c == nil || c.images != images || c.workers != workers {
		c = w.cut(images, workers)
		w.last.Store(c)
	}
	return c.tiles, c.blocks, c.ok
}

func (w *Winograd) cut(images, workers int) *winogradCut {
	k, all, features := w.kernels.winograd, w.Tiles(images), float64(w.C)
	const (
		line      = 4  // blocks whose codes are a cache line, which two workers should not both write
		mostTiles = 32 // whose inputs and products stay in the second-level cache; more gain nothing
	)
	up := func(a, b int) int { return (a + b - 1) / b }
	cost := func(tiles, blocks int) float64 {
		t, n := float64(up(tiles, k.tiles)*k.tiles), float64(16*up(blocks, k.blocks)*k.blocks)
		columns := up(w.blocks, blocks)
		items, once := up(all, tiles)*columns, 0.0
		weights := k.cost.weight * features * n
		if w.kept(blocks) && tiles < all { // items of the same columns follow each other; what is kept goes beyond the second-level cache first
			once, weights = 2*float64(up(columns, workers))*weights, 0
		}
		each := (k.cost.product*t+k.cost.read)*features*n + k.cost.input*t*features + k.cost.end*float64(tiles)*n + weights + k.cost.item
		if workers > 1 { // some wait for the last, or for one that lost its core
			once += each / 6
		}
		return float64(up(items, workers))*each + once
	}
	best, least := &winogradCut{images: images, workers: workers}, 0.95*k.cost.direct*float64(images*w.Places()*w.K()*16*w.blocks)/float64(workers)
	for i := 1; i <= all; i++ {
		tiles := up(all, i)
		if tiles > mostTiles {
			continue
		}
		for blocks := up(w.blocks, line) * line; ; blocks = up(blocks/2, line) * line {
			if c := cost(tiles, min(blocks, w.blocks)); c < least {
				best.tiles, best.blocks, best.ok, least = tiles, min(blocks, w.blocks), true, c
			}
			if blocks == line {
				break
			}
		}
		if tiles <= k.tiles {
			break
		}
	}
	return best
}

// kept tells whether the weights of so many blocks stay with a worker.
func (w *Winograd) kept(blocks int) bool {
	k := w.kernels.winograd
	return (blocks+k.blocks-1)/k.blocks*w.group() <= keptWeights
}

// group is the bytes of transformed weights of blocks that are multiplied at a time, 36 times step.
func (w *Winograd) group() int { return 36 * w.step() }

func (w *Winograd) step() int { return w.C*32*w.kernels.winograd.blocks + winogradSkew }

// winogradSkew is the bytes from the end of one of 36 to the next: else all would lie in the same sets of a cache.
const winogradSkew = 64

// Tiles is the tiles of so many images.
func (w *Winograd) Tiles(images int) int { return images * w.down * w.across }

// Codes computes tiles t0 to t1-1, of all images one after the other, and blocks b0 to b1-1 from all codes x. The end begins at row 0 and the first column of b0.
func (w *Winograd) Codes(e End, x []byte, t0, t1, b0, b1 int, work *DirectWork) {
	d, s, k := w.Direct, &w.Shape, w.kernels.winograd
	n := t1 - t0
	images := (t1-1)/(w.down*w.across) + 1
	first, last := d.Columns(b0, b1)
	if d.ends(&e, images*s.Places(), last-first); len(x) < images*s.In[1]*s.In[2]*s.C {
		panic(fmt.Sprintf("conv: Winograd: %d codes for %d images of %d x %d x %d", len(x), images, s.In[1], s.In[2], s.C))
	}
	wk := &work.winograd
	room := (n + k.tiles - 1) / k.tiles * k.tiles
	vstep, group := room*s.C*2+winogradSkew, w.group()
	groups := (b1 - b0 + k.blocks - 1) / k.blocks
	wk.v, wk.m = sizedBytes(wk.v, 36*vstep), sizedBytes(wk.m, 36*room*64*k.blocks)
	wk.work = sizedBytes(wk.work, 36*64)
	a := &wk.args
	*a = winogradArgs{
		v: (*int16)(unsafe.Pointer(&wk.v[0])), vstep: vstep, c: s.C, tiles: n, ustep: w.step(), upair: 64 * k.blocks, m: (*int32)(unsafe.Pointer(&wk.m[0])), work: &wk.work[0],
		keep: [2]unsafe.Pointer{unsafe.Pointer(&x[0]), unsafe.Pointer(&w.padding[0])},
	}
	w.point(wk, x, t0, t1)
	wk.tiles = wk.tiles[:0]
	image, ty, tx := w.tile(t0)
	for range n {
		wk.tiles = append(wk.tiles, winogradTile{(image*s.Out[1]+4*ty)*s.Out[2] + 4*tx, min(4, s.Out[2]-4*tx), min(4, s.Out[1]-4*ty)})
		image, ty, tx = w.next(image, ty, tx)
	}
	a.table = &wk.table[0]
	callWinograd(k.inputs, a)
	a.tiles = room
	// Weights stay if they are few and more tiles are to come, and else are made for each half of the places, so that they are in the second-level cache.
	keep := w.kept(b1-b0) && n < w.Tiles(len(x)/(s.In[1]*s.In[2]*s.C))
	if have := wk.of == w && wk.b0 <= b0 && wk.b1 >= b1 && (b0-wk.b0)%k.blocks == 0; !have && keep {
		wk.u = sizedBytes(wk.u, groups*group)
		for g := range groups {
			w.transform(wk, wk.u[g*group:], b0+g*k.blocks, b1, 0)
			w.transform(wk, wk.u[g*group+group/2:], b0+g*k.blocks, b1, 1)
		}
		wk.of, wk.b0, wk.b1 = w, b0, b1
	} else if !have {
		wk.u = sizedBytes(wk.u, group/2)
		wk.of = nil
	}
	size, lo := 4, e.Lo
	if e.Codes != nil {
		size, lo = 1, float32(-e.Zero)
	}
	end := &work.args
	for g := range groups {
		g0 := b0 + g*k.blocks
		a.positions = 18
		for half := range 2 {
			u := wk.u
			if wk.of == w {
				u = u[(g0-wk.b0)/k.blocks*group+half*group/2:]
			} else {
				w.transform(wk, u, g0, b1, half)
			}
			a.u, a.v, a.m = (*int16)(unsafe.Pointer(&u[0])), (*int16)(unsafe.Pointer(&wk.v[18*half*vstep])), (*int32)(unsafe.Pointer(&wk.m[18*half*64*k.blocks]))
			callWinograd(k.products, a)
		}
		for b := g0; b < min(g0+k.blocks, b1); b++ {
			cols := min(16, d.N-16*b)
			*end = directArgs{
				scale: &d.scale[16*b], start: &w.start[16*b], bias: &d.bias[16*b], c: &work.c[0], ldd: size * e.Ld, mask: 1<<cols - 1, work: &wk.work[0],
				factor: d.factor, inv: e.Inv, lo: lo, hi: e.Hi, zero: e.Zero, greatest: e.greatest(), otherZero: e.AddZero, otherScale: e.AddScale,
				list: uintptr(unsafe.Pointer(&wk.tiles[0])), tiles: n, m: uintptr(unsafe.Pointer(&wk.m[(b-g0)*64])),
			}
			if end.lineStep = s.Out[2] * end.ldd; e.SiLU {
				end.silu = 1
			}
			other, step := unsafe.Pointer(nil), 0 // of what is added
			switch {
			case e.AddCodes != nil:
				other, step = unsafe.Pointer(&e.AddCodes[16*b-first]), end.ldd
			case e.Add != nil:
				other, step = unsafe.Pointer(&e.Add[16*b-first]), end.ldd
			}
			if end.ldo, end.otherStep = step, s.Out[2]*step; e.Codes != nil {
				end.codes, end.keep[1] = 1, unsafe.Pointer(&e.Codes[16*b-first])
			} else {
				end.keep[1] = unsafe.Pointer(&e.Floats[16*b-first])
			}
			end.keep[2] = other
			end.first, end.firstOther = uintptr(end.keep[1]), uintptr(other)
			callDirect(k.end, end)
		}
	}
}

// tile is where tile t lies, and next where the one after that does.
func (w *Winograd) tile(t int) (image, ty, tx int) {
	return t / (w.down * w.across), t / w.across % w.down, t % w.across
}

func (w *Winograd) next(image, ty, tx int) (int, int, int) {
	if tx++; tx < w.across {
		return image, ty, tx
	}
	if ty++; ty < w.down {
		return image, ty, 0
	}
	return image + 1, 0, 0
}

// keptWeights is the bytes of transformed weights that a worker keeps, about a half of the second-level cache.
const keptWeights = 2560 << 10

// transform makes a half of the weights of blocks from b on, before b1, that are multiplied at a time.
func (w *Winograd) transform(wk *winogradWork, u []byte, b, b1, half int) {
	k := w.kernels.winograd
	for i := range min(k.blocks, b1-b) {
		wk.args.w, wk.args.u, wk.args.half = &w.weights[(b+i)*w.block], (*int16)(unsafe.Pointer(&u[64*i])), half
		callWinograd(k.weights, &wk.args)
	}
}

// callWinograd is callDirect for them.
//
//go:noinline
func callWinograd(f func(*winogradArgs), a *winogradArgs) { f(a) }

// sizedBytes is b with length n, on a cache line.
func sizedBytes(b []byte, n int) []byte {
	if cap(b) < n {
		return mem.Bytes(n)
	}
	return b[:n]
}

// point fills the table with the pixels of tiles t0 to t1-1.
func (w *Winograd) point(wk *winogradWork, x []byte, t0, t1 int) {
	s := &w.Shape
	wk.table = mem.Sized(wk.table, 36*(t1-t0))
	base, pad, pixel := uintptr(unsafe.Pointer(&x[0])), uintptr(unsafe.Pointer(&w.padding[0])), uintptr(s.C)
	image, ty, tx := w.tile(t0)
	for t := range t1 - t0 {
		to := (*[36]uintptr)(wk.table[36*t:])
		h, v := 4*ty-s.Before[1], 4*tx-s.Before[2]
		within := v >= 0 && v+6 <= s.In[2]
		for i := range 6 {
			list := to[6*i:][:6]
			at := base + uintptr((image*s.In[1]+h+i)*s.In[2]+v)*pixel
			switch {
			case h+i < 0 || h+i >= s.In[1]:
				for j := range list {
					list[j] = pad
				}
			case within:
				for j := range list {
					list[j] = at
					at += pixel
				}
			default:
				for j := range list {
					if list[j] = at; v+j < 0 || v+j >= s.In[2] {
						list[j] = pad
					}
					at += pixel
				}
			}
		}
		image, ty, tx = w.next(image, ty, tx)
	}
}
