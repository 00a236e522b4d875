// Package picture turns JPEG and PNG files into inputs of networks, as graph.Image says: resized, cut out of the middle, scaled
// and normalized like transformers' image processors, which resize with Pillow.
//
//	p, err := picture.Open("cat.jpg")
//	row, err := p.Input(meta.Model.Image, 3) // [3, H, W]
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qpt/format/graph"
)

// ErrPicture is matched by errors about files that are no pictures, or too large.
var ErrPicture = errors.New("bad picture")

// Limits of a picture.
const (
	maxBytes  = 256 << 20
	maxPixels = 1 << 27
)

// Picture is bytes RGB [H, W, 3].
type Picture struct {
	W, H int
	Pix  []byte
}

// Open reads a file.
func Open(path string) (*Picture, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxBytes {
		return nil, fmt.Errorf("%w: %s: must be a file of at most %d MiB", ErrPicture, path, maxBytes>>20)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes))
	if err != nil {
		return nil, err
	}
	p, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Decode reads a JPEG or PNG, upright by its Exif data; what is transparent shows its color, of 16 bits the upper 8 count.
func Decode(data []byte) (*Picture, error) {
	decode, config := jpeg.Decode, jpeg.DecodeConfig
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		decode, config = png.Decode, png.DecodeConfig
	case !bytes.HasPrefix(data, []byte("\xff\xd8")):
		return nil, fmt.Errorf("%w: neither JPEG nor PNG: convert it to one of them", ErrPicture)
	}
	c, err := config(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPicture, err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height {
		return nil, fmt.Errorf("%w: %d x %d pixels, at most %d in all", ErrPicture, c.Width, c.Height, maxPixels)
	}
	im, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPicture, err)
	}
	b := im.Bounds()
	p := &Picture{W: b.Dx(), H: b.Dy(), Pix: make([]byte, 3*b.Dx()*b.Dy())}
	if y, ok := im.(*image.YCbCr); ok {
		p.fromYCbCr(y)
		return p.upright(orientation(data)), nil
	}
	deep, _ := im.(*image.NRGBA64)
	i := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			var c color.NRGBA
			if deep != nil { // converting would lose colors where little of them shows
				d := deep.NRGBA64At(x, y)
				c.R, c.G, c.B = byte(d.R>>8), byte(d.G>>8), byte(d.B>>8)
			} else {
				c = color.NRGBAModel.Convert(im.At(x, y)).(color.NRGBA)
			}
			p.Pix[i], p.Pix[i+1], p.Pix[i+2] = c.R, c.G, c.B
			i += 3
		}
	}
	return p.upright(orientation(data)), nil
}

// fromYCbCr brings the planes of a JPEG to full size as libjpeg does ("fancy" upsampling: three parts of the nearer sample and one of the farther).
func (p *Picture) fromYCbCr(y *image.YCbCr) {
	across := y.SubsampleRatio == image.YCbCrSubsampleRatio422 || y.SubsampleRatio == image.YCbCrSubsampleRatio420
	down := y.SubsampleRatio == image.YCbCrSubsampleRatio420 || y.SubsampleRatio == image.YCbCrSubsampleRatio440
	fancy := across && p.W > 4 || !across && (down || y.SubsampleRatio == image.YCbCrSubsampleRatio444) // planes of 1 and 2 columns are repeated
	cw, ch := p.W, p.H
	if across {
		cw = (p.W + 1) / 2
	}
	if down {
		ch = (p.H + 1) / 2
	}
	line := func(plane []byte, r int) []byte { return plane[min(max(r, 0), ch-1)*y.CStride:][:cw] }
	sums := make([]int, cw)
	var rows [2][]byte
	for i := range rows {
		rows[i] = make([]byte, p.W+1)
	}
	i := 0
	for r := range p.H {
		for k, plane := range [2][]byte{y.Cb, y.Cr} {
			out := rows[k]
			if !fancy {
				for x := range p.W {
					out[x] = plane[y.COffset(x+y.Rect.Min.X, r+y.Rect.Min.Y)]
				}
				continue
			}
			near, far := line(plane, r), line(plane, r)
			if down {
				near, far = line(plane, r/2), line(plane, r/2-1+r%2*2)
			}
			for x := range sums {
				if sums[x] = int(near[x]); down {
					sums[x] = 3*int(near[x]) + int(far[x])
				}
			}
			if !across {
				for x := range p.W {
					out[x] = byte(sums[x])
				}
				continue
			}
			low, high := 1, 2 // rounding of the left and of the right one
			shift := 2
			if down {
				low, high, shift = 8, 7, 4
			}
			for x := range cw {
				a, b := sums[max(x-1, 0)], sums[min(x+1, cw-1)]
				out[2*x] = byte((3*sums[x] + a + low) >> shift)
				if 2*x+1 < len(out) {
					out[2*x+1] = byte((3*sums[x] + b + high) >> shift)
				}
			}
		}
		for x := range p.W {
			p.Pix[i], p.Pix[i+1], p.Pix[i+2] = rgb(int(y.Y[r*y.YStride+x]), int(rows[0][x])-128, int(rows[1][x])-128)
			i += 3
		}
	}
}

// rgb is libjpeg's conversion, in 16 bits behind the point.
func rgb(y, cb, cr int) (r, g, b byte) {
	const half = 1 << 15
	clamp := func(v int) byte { return byte(min(max(v, 0), 255)) }
	return clamp(y + (91881*cr+half)>>16), clamp(y + (-22554*cb-46802*cr+half)>>16), clamp(y + (116130*cb+half)>>16)
}

// Sized resizes and cuts as im says; the result has the size of the input.
func (p *Picture) Sized(im *graph.Image) (*Picture, error) {
	h, w := im.ResizeHeight, im.ResizeWidth
	if s := im.ShortEdge; s > 0 { // as torchvision and transformers: the longer side rounded down
		h, w = s, s
		if p.W > p.H {
			w = s * p.W / p.H
		} else {
			h = s * p.H / p.W
		}
	}
	if h > 0 && w > 0 && (h != p.H || w != p.W) {
		if h > maxPixels/w {
			return nil, fmt.Errorf("%w: %d x %d pixels after resizing", ErrPicture, w, h)
		}
		p = p.resize(w, h, im.Filter)
	}
	if im.CropHeight > 0 && im.CropWidth > 0 {
		p = p.crop(im.CropWidth, im.CropHeight)
	}
	if p.H != im.Height || p.W != im.Width {
		return nil, fmt.Errorf("%w: %d x %d pixels, the network takes %d x %d, and nothing says how to resize", ErrPicture, p.W, p.H, im.Width, im.Height)
	}
	return p, nil
}

// crop cuts the middle out; where the picture is smaller, it gets black sides, of which the last has the odd line, as torchvision does it.
func (p *Picture) crop(w, h int) *Picture {
	q := &Picture{W: w, H: h, Pix: make([]byte, 3*w*h)}
	top, left := (p.H-h)/2, (p.W-w)/2
	for y := range h {
		for x := range w {
			if sy, sx := y+top, x+left; sy >= 0 && sy < p.H && sx >= 0 && sx < p.W {
				copy(q.Pix[3*(y*w+x):][:3], p.Pix[3*(sy*p.W+sx):])
			}
		}
	}
	return q
}

// Input is the picture as a row [channels, H, W] of the network's input; of 1 channel it is gray.
func (p *Picture) Input(im *graph.Image, channels int) ([]float32, error) {
	q, err := p.Sized(im)
	if err != nil {
		return nil, err
	}
	x := graph.Tensor{Shape: []int{1, q.H, q.W, channels}, F: make([]float32, q.H*q.W*channels)}
	switch channels {
	case 3:
		for i, v := range q.Pix {
			x.F[i] = float32(v)
		}
	case 1: // ITU-R 601, as Pillow's L
		for i := range x.F {
			r, g, b := int(q.Pix[3*i]), int(q.Pix[3*i+1]), int(q.Pix[3*i+2])
			x.F[i] = float32((r*19595 + g*38470 + b*7471 + 0x8000) >> 16)
		}
	default:
		return nil, fmt.Errorf("%w: the network takes %d channels, pictures have 3 or 1", ErrPicture, channels)
	}
	return im.Pixels(x).F, nil
}

// Files lists pictures: of a folder those in it and below, sorted; any other path itself.
func Files(path string) ([]string, error) {
	st, err := os.Stat(path)
	if err != nil || !st.IsDir() {
		return []string{path}, err
	}
	var list []string
	err = filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && Is(name) {
			list = append(list, name)
		}
		return err
	})
	slices.Sort(list)
	if err == nil && list == nil {
		err = fmt.Errorf("%w: there are no .jpg, .jpeg or .png files in %s", ErrPicture, path)
	}
	return list, err
}

// Is tells whether a name ends like that of a picture.
func Is(name string) bool {
	return slices.Contains([]string{".jpg", ".jpeg", ".png"}, strings.ToLower(filepath.Ext(name)))
}
