package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qpt/convert/safetensors"
	"qpt/format/graph"
	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/picture"
)

// Pictures in place of tensors: qrun run on a JPEG, a PNG, a folder of them, or a .safetensors file with images, bytes [n, H, W, C] of the
// network's size, tells their classes, and with the right ones at hand how many are met.

// pictureBatch pictures go through the network at a time.
const pictureBatch = 8

// album is pictures to be classified.
type album struct {
	names []string
	right []int // class of each, -1 where none is known
	row   func(i int) ([]float32, error)
	close func() error
}

// isPictures tells whether an input is pictures.
func isPictures(path string) bool {
	st, err := os.Stat(path)
	if err == nil && st.IsDir() || picture.Is(path) {
		return true
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	t, ok := f.Tensor("images")
	return ok && t.DType == safetensors.U8 && len(t.Shape) == 4
}

// openAlbum finds the pictures of a path for an input [B, channels, H, W].
func openAlbum(path string, im *graph.Image, channels int) (*album, error) {
	if filepath.Ext(path) == ".safetensors" {
		f, err := safetensors.Open(path)
		if err != nil {
			return nil, err
		}
		t, _ := f.Tensor("images")
		if t.Shape[1] != im.Height || t.Shape[2] != im.Width || t.Shape[3] != channels {
			f.Close()
			return nil, fmt.Errorf("%w: %s: images are %v, the network takes [n, %d, %d, %d]", errInput, path, t.Shape, im.Height, im.Width, channels)
		}
		a := &album{close: f.Close, row: func(i int) ([]float32, error) {
			x := graph.Tensor{Shape: append([]int{1}, t.Shape[1:]...), F: make([]float32, t.NumElems()/t.Shape[0])}
			if err := t.ReadRows(i, i+1, x.F); err != nil {
				return nil, err
			}
			return im.Pixels(x).F, nil
		}}
		labels, ok := f.Tensor("labels")
		var right []int32
		if ok {
			if right, err = integers(labels); err != nil || len(right) != t.Shape[0] {
				f.Close()
				return nil, fmt.Errorf("%w: %s: labels %v for images %v: %w", errInput, path, labels.Shape, t.Shape, err)
			}
		}
		for i := range t.Shape[0] {
			a.names, a.right = append(a.names, fmt.Sprint(i)), append(a.right, -1)
			if right != nil {
				a.right[i] = int(right[i])
			}
		}
		return a, nil
	}
	files, err := picture.Files(path)
	if err != nil {
		return nil, err
	}
	return &album{names: files, right: slices.Repeat([]int{-1}, len(files)), close: func() error { return nil }, row: func(i int) ([]float32, error) {
		p, err := picture.Open(files[i])
		if err != nil {
			return nil, err
		}
		x, err := p.Input(im, channels)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i], err)
		}
		return x, nil
	}}, nil
}

// readAnswers reads lines "NAME CLASS", the picture's file name and its class as a number or a label.
func (a *album) readAnswers(path string, labels []string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	of := map[string]int{}
	for i, name := range a.names {
		of[filepath.Base(name)] = i
	}
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		name, class, ok := strings.Cut(strings.TrimSpace(s.Text()), " ")
		if name == "" {
			continue
		}
		class = strings.TrimSpace(class)
		k, err := strconv.Atoi(class)
		if err != nil {
			k = slices.Index(labels, class)
		}
		if !ok || k < 0 {
			return fmt.Errorf("%w: %s: line %d: want a picture's name, a space and its class, a number or a label of the model", errInput, path, n)
		}
		if i, ok := of[name]; ok {
			a.right[i] = k
		}
	}
	return s.Err()
}

// pictureDoc is what is said of a picture.
type pictureDoc struct {
	Picture string     `json:"picture"`
	Right   *int       `json:"right,omitempty"` // its class, where that is known
	Top     []classDoc `json:"top"`
}

type classDoc struct {
	Class       int     `json:"class"`
	Label       string  `json:"label,omitempty"`
	Probability float64 `json:"probability"`
}

// shareDoc is a share of pictures with its 95 % interval (Wilson).
type shareDoc struct {
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

func share(k, n int) shareDoc {
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	mid, half := (p+z*z/(2*m))/(1+z*z/m), z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))/(1+z*z/m)
	return shareDoc{p, max(mid-half, 0), min(mid+half, 1)}
}

func (s shareDoc) String() string {
	return fmt.Sprintf("%.2f %% (%.2f to %.2f)", 100*s.Share, 100*s.Low, 100*s.High)
}

// join adds the pictures of another album.
func (a *album) join(b *album) {
	one, n := *a, len(a.names)
	a.names, a.right = append(a.names, b.names...), append(a.right, b.right...)
	a.row = func(i int) ([]float32, error) {
		if i < n {
			return one.row(i)
		}
		return b.row(i - n)
	}
	a.close = func() error { return errors.Join(one.close(), b.close()) }
}

// from is the album without its first n pictures.
func (a *album) from(n int) *album {
	return &album{names: a.names[n:], right: a.right[n:], close: a.close, row: func(i int) ([]float32, error) { return a.row(n + i) }}
}

// classifier is a network that says how pictures become its input.
type classifier struct {
	*runtime.Model
	in     graph.Value
	out    string // what it gives for each picture
	image  *graph.Image
	labels []string
}

// openPictures opens a network on pictures: one that classifies them, or without a head.
func openPictures(path string, opt runtime.Options) (*classifier, error) {
	m, err := runtime.Load(path, opt)
	if err != nil {
		return nil, err
	}
	c := &classifier{Model: m, image: m.Meta.Model.Image, labels: m.Meta.Model.Labels, out: m.Graph.Outputs[0]}
	if in := m.Graph.Inputs; c.image == nil || len(in) != 1 || len(in[0].Shape) != 4 {
		m.Close()
		return nil, fmt.Errorf("%w: %s does not say how pictures become its input: give it tensors (.safetensors)", errInput, path)
	}
	for _, name := range []string{projected, pooled} {
		if slices.Contains(m.Graph.Outputs, name) {
			c.out = name
			break
		}
	}
	c.in = m.Graph.Inputs[0]
	return c, nil
}

// What a network without a head gives for a whole picture, projected to where texts lie too, or not.
const (
	projected = "image_embeds"
	pooled    = "pooler_output"
)

// openClassifier opens a network that classifies pictures.
func openClassifier(path string, opt runtime.Options) (*classifier, error) {
	c, err := openPictures(path, opt)
	if err == nil && (len(c.Graph.Outputs) != 1 || c.out == pooled || len(c.Graph.ValueMap()[c.out].Shape) != 2) {
		c.Close()
		return nil, fmt.Errorf("%w: %s gives no classes but %s: try qrun embed, or qrun run with tensors (.safetensors)", errInput, path, strings.Join(c.Graph.Outputs, ", "))
	}
	return c, err
}

// album opens pictures, with their right classes if there is a file of them.
func (c *classifier) album(answers string, paths ...string) (*album, error) {
	var all *album
	for _, path := range paths {
		a, err := openAlbum(path, c.image, int(c.in.Shape[1]))
		if err != nil {
			if all != nil {
				all.close()
			}
			return nil, pictureError(err)
		}
		if all == nil {
			all = a
		} else {
			all.join(a)
		}
	}
	if answers != "" {
		if err := all.readAnswers(answers, c.labels); err != nil {
			all.close()
			return nil, err
		}
	}
	return all, nil
}

// pictureError tells that a picture is at fault, if it is.
func pictureError(err error) error {
	if errors.Is(err, picture.ErrPicture) {
		return fmt.Errorf("%w: %w", errInput, err)
	}
	return err
}

// each runs the network on the pictures in order and gives what it makes of each.
func (c *classifier) each(ctx context.Context, a *album, f func(i int, logits []float32)) error {
	most := pictureBatch
	if n := int(c.in.Shape[0]); n >= 0 {
		most = n
	}
	if most != pictureBatch && most != 1 {
		return fmt.Errorf("%w: the network takes %d pictures at a time: export it with a dynamic batch", errInput, most)
	}
	for at := 0; at < len(a.names); at += most {
		n := min(most, len(a.names)-at)
		x := runtime.Tensor{Shape: []int{n, int(c.in.Shape[1]), c.image.Height, c.image.Width}}
		for i := range n {
			row, err := a.row(at + i)
			if err != nil {
				return pictureError(err)
			}
			x.F = append(x.F, row...)
		}
		out, err := c.Run(ctx, map[string]runtime.Tensor{c.in.Name: x}, runtime.RunOptions{})
		if err != nil {
			return err
		}
		y := out[c.out].F
		for i := range n {
			f(at+i, y[i*len(y)/n:(i+1)*len(y)/n])
		}
	}
	return nil
}

// hits counts pictures of known classes whose class is the likeliest, and among the likeliest five.
type hits struct{ known, first, five int }

func (h *hits) count(right int, top []classDoc) {
	if right < 0 {
		return
	}
	h.known++
	at := slices.IndexFunc(top, func(c classDoc) bool { return c.Class == right })
	if at == 0 {
		h.first++
	}
	if at >= 0 && at < 5 {
		h.five++
	}
}

// shares are those of top-1 and top-5, nil where no class is known.
func (h *hits) shares() (top1, top5 *shareDoc) {
	if h.known == 0 {
		return nil, nil
	}
	a, b := share(h.first, h.known), share(h.five, h.known)
	return &a, &b
}

// classes runs the network on pictures and says their classes, for the command of that name.
func (r *runOptions) classes(ctx context.Context, command string, paths ...string) error {
	opt, err := r.settings()
	if err != nil {
		return err
	}
	m, err := openClassifier(r.model, opt)
	if err != nil {
		return err
	}
	defer m.Close()
	a, err := m.album(r.labels, paths...)
	if err != nil {
		return err
	}
	defer a.close()
	var docs []pictureDoc
	var h hits
	err = m.each(ctx, a, func(i int, logits []float32) {
		d := pictureDoc{Picture: a.names[i], Top: topClasses(logits, m.labels, max(r.top, 5))}
		if h.count(a.right[i], d.Top); a.right[i] >= 0 {
			d.Right = &a.right[i]
		}
		d.Top = d.Top[:min(r.top, len(d.Top))]
		docs = append(docs, d)
	})
	if err != nil {
		return err
	}
	return r.printClasses(command, docs, h)
}

// topClasses are the likeliest of a row of logits.
func topClasses(logits []float32, labels []string, n int) []classDoc {
	order := make([]int, len(logits))
	top := math.Inf(-1)
	for i, v := range logits {
		order[i], top = i, max(top, float64(v))
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	var list []classDoc
	for _, k := range order[:min(n, len(order))] {
		d := classDoc{Class: k, Probability: math.Exp(float64(logits[k])-top) / sum}
		if k < len(labels) {
			d.Label = labels[k]
		}
		list = append(list, d)
	}
	return list
}

func (r *runOptions) printClasses(command string, docs []pictureDoc, h hits) error {
	top1, top5 := h.shares()
	if r.JSON {
		return cli.Document(struct {
			Schema   int          `json:"schema"`
			Command  string       `json:"command"`
			Model    string       `json:"model"`
			Pictures []pictureDoc `json:"pictures"`
			Top1     *shareDoc    `json:"top1,omitempty"`
			Top5     *shareDoc    `json:"top5,omitempty"`
		}{1, command, r.model, docs, top1, top5})
	}
	if h.known < len(docs) || len(docs) <= 20 {
		t := ui.NewTable("picture", "class", "label", "probability")
		for _, d := range docs {
			for i, c := range d.Top {
				name := d.Picture
				if i > 0 {
					name = ""
				}
				t.Row(name, c.Class, c.Label, fmt.Sprintf("%.4f", c.Probability))
			}
		}
		if err := t.Print(ui.Stdout); err != nil {
			return err
		}
	}
	if h.known > 0 {
		fmt.Fprintf(ui.Stdout, "%d pictures of known classes: top-1 %s, top-5 %s\n", h.known, top1, top5)
	}
	return nil
}
