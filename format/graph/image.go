package graph

import (
	"fmt"
	"slices"

	"qpt/internal/num"
)

// Image says how a picture becomes an input [B, C, Height, Width] of a network, in this order, as transformers' image processors do:
// it is resized, cut out of the middle, its bytes multiplied by Scale, then (x - Mean) / Std.
type Image struct {
	Height int `json:"height"` // of the input
	Width  int `json:"width"`

	ShortEdge    int    `json:"short_edge,omitempty"` // the shorter side gets this length; 0: ResizeHeight and ResizeWidth count
	ResizeHeight int    `json:"resize_height,omitempty"`
	ResizeWidth  int    `json:"resize_width,omitempty"`
	Filter       string `json:"filter,omitempty"` // of ImageFilters; "": bilinear
	CropHeight   int    `json:"crop_height,omitempty"`
	CropWidth    int    `json:"crop_width,omitempty"`

	Scale float64   `json:"scale"`
	Mean  []float64 `json:"mean,omitempty"` // a channel, or one for all; none: 0
	Std   []float64 `json:"std,omitempty"`  // none: 1
}

// ImageFilters are Pillow's, in the order of its numbers.
var ImageFilters = []string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}

// Size is what a picture's size becomes, 0 if that depends on the picture.
func (im *Image) Size() (h, w int) {
	if im.CropHeight > 0 {
		return im.CropHeight, im.CropWidth
	}
	return im.ResizeHeight, im.ResizeWidth
}

// Check tells what is wrong.
func (im *Image) Check() error {
	for _, n := range []int{im.Height, im.Width, im.ShortEdge, im.ResizeHeight, im.ResizeWidth, im.CropHeight, im.CropWidth} {
		if n < 0 || n > 1<<14 {
			return fmt.Errorf("%w: image: size %d", ErrGraph, n)
		}
	}
	if im.Height == 0 || im.Width == 0 || !num.Finite(im.Scale) {
		return fmt.Errorf("%w: image: %d x %d, scale %v", ErrGraph, im.Height, im.Width, im.Scale)
	}
	if !slices.Contains(ImageFilters, im.Filter) && im.Filter != "" {
		return fmt.Errorf("%w: image: filter %.40q", ErrGraph, im.Filter)
	}
	for _, list := range [][]float64{im.Mean, im.Std} {
		for _, v := range list {
			if !num.Finite(v) || len(list) > 16 {
				return fmt.Errorf("%w: image: mean %v, std %v", ErrGraph, im.Mean, im.Std)
			}
		}
	}
	for _, v := range im.Std {
		if v == 0 {
			return fmt.Errorf("%w: image: std %v", ErrGraph, im.Std)
		}
	}
	return nil
}

// Pixels makes bytes [n, H, W, C] of the input's size, as numbers, an input [n, C, H, W].
func (im *Image) Pixels(x Tensor) Tensor {
	n, h, w, c := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	y := Tensor{Shape: []int{n, c, h, w}, F: make([]float32, len(x.F))}
	of := func(list []float64, k int, def float64) float32 {
		switch {
		case len(list) == 0:
			return float32(def)
		case k < len(list):
			return float32(list[k])
		}
		return float32(list[0])
	}
	for k := range c {
		mean, std, scale := of(im.Mean, k, 0), of(im.Std, k, 1), float32(im.Scale)
		for i := range n {
			to := y.F[(i*c+k)*h*w:][:h*w]
			for p := range to {
				to[p] = (float32(x.F[(i*h*w+p)*c+k]*scale) - mean) / std
			}
		}
	}
	return y
}
