package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/num"
	"qpt/runtime/encoder"
)

func embedCommand(o *options) *cobra.Command {
	x := &texts{options: o}
	var form string
	c := &cobra.Command{
		Use:   "embed FILE.qpt [TEXT | PICTURE ..]",
		Short: "Embeddings of texts, of pictures",
		Long: `embed writes the embedding of each text, in their order. Texts are arguments, or lines of
--input or of stdin, or of a .jsonl file the values of "text". --format floats writes a
line of numbers for each, binary 32-bit floats, little endian, row after row. Texts longer than
the model's limit are cut. Texts run many in a pass, without padding; what runs
beside a text changes nothing in its embedding. With --resume an output that is there
already is gone on with, so that a run that was stopped is just started again.
Of pictures (.jpg, .png, folders of them, .safetensors with images) it writes what a network
without a head gives for each.`,
		Example: `  qrun embed minilm.qpt "A man is eating food." "The girl is carrying a baby."
  qrun embed minilm.qpt --input texts.jsonl --format binary --output texts.f32
  qrun embed dinov2.qpt cat.jpg dog.png
  qrun embed minilm.qpt --input texts.jsonl --shard 3/8 --output part-3.txt --resume`,
		RunE: func(c *cobra.Command, args []string) error {
			if form != "floats" && form != "binary" {
				return fmt.Errorf("%w: --format %s: want floats or binary", cli.ErrUsage, form)
			}
			if o.JSON && (x.output != "" || form != "floats") {
				return fmt.Errorf("%w: --json writes one document on stdout: leave out --output and --format", cli.ErrUsage)
			}
			run, width, inputs, end, err := x.embeddings(c, args)
			if err != nil {
				return err
			}
			defer end()
			doc := embedDoc{Schema: 1, Command: "embed", Model: o.model, Embeddings: [][]float32{}}
			each := func(v []float32) error { doc.Embeddings = append(doc.Embeddings, v); return nil }
			from, done := 0, func(err error) error { return err }
			if !o.JSON {
				var w *bufio.Writer
				w, from, done, err = x.results(inputs, func(r io.Reader) (int, int64, error) {
					if row := int64(4 * width); form == "binary" && row > 0 {
						size, err := io.Copy(io.Discard, r)
						return int(size / row), size / row * row, err
					}
					return countLines(r, false)
				})
				if err != nil {
					return err
				}
				each = func(v []float32) error { return writeVector(w, v, form) }
			}
			err = run(from, each)
			if err = done(err); err != nil || !o.JSON {
				return err
			}
			return cli.Document(doc)
		},
	}
	x.flags(c)
	f := c.Flags()
	f.StringVar(&form, "format", "floats", "`FORM` of the embeddings: floats, binary")
	cli.CompleteWords(c, "format", "floats", "binary")
	return c
}

// embeddings opens the model and its inputs, texts or pictures: run shows the embeddings of width numbers to each, in order, from an input on.
func (x *texts) embeddings(c *cobra.Command, args []string) (run func(from int, each func(v []float32) error) error, width, inputs int, end func() error, err error) {
	if paths := x.pictures(args); paths != nil {
		return x.pictureEmbeddings(c.Context(), paths)
	}
	m, in, err := x.open(c, args)
	if err != nil {
		return nil, 0, 0, nil, err
	}
	for _, t := range in {
		if t.Pair != "" {
			m.Close()
			return nil, 0, 0, nil, fmt.Errorf(`%w: %s: "pair" is for classify: an embedding is of one text`, errInput, x.input)
		}
	}
	return func(from int, each func(v []float32) error) error {
		for part := range slices.Chunk(in[from:], batches) {
			var list []string
			for _, t := range part {
				list = append(list, t.Text)
			}
			vectors, err := m.Embed(c.Context(), list)
			if err != nil {
				return taskError(err)
			}
			for _, v := range vectors {
				if err := each(v); err != nil {
					return err
				}
			}
		}
		return nil
	}, m.Width(), len(in), m.Close, nil
}

// pictureEmbeddings is embeddings of pictures.
func (x *texts) pictureEmbeddings(ctx context.Context, paths []string) (run func(from int, each func(v []float32) error) error, width, inputs int, end func() error, err error) {
	opt, err := x.settings()
	if err != nil {
		return nil, 0, 0, nil, err
	}
	m, err := openPictures(x.model, opt)
	if err != nil {
		return nil, 0, 0, nil, err
	}
	if len(m.labels) > 0 {
		m.Close()
		return nil, 0, 0, nil, fmt.Errorf("%w: %s classifies pictures: try qrun classify", cli.ErrUsage, x.model)
	}
	a, err := m.album("", paths...)
	if err != nil {
		m.Close()
		return nil, 0, 0, nil, err
	}
	end = func() error { return errors.Join(a.close(), m.Close()) }
	shape := m.Graph.ValueMap()[m.out].Shape
	if len(shape) != 2 {
		end()
		return nil, 0, 0, nil, fmt.Errorf("%w: %s: %s is %d-dimensional: no vector for each picture; qrun run gives its tensors", errInput, x.model, m.out, len(shape))
	}
	return func(from int, each func(v []float32) error) error {
		var failed error
		err := m.each(ctx, a.from(from), func(_ int, v []float32) {
			if failed == nil {
				failed = each(v)
			}
		})
		return cmp.Or(err, failed)
	}, int(shape[1]), len(a.names), end, nil
}

type embedDoc struct {
	Schema     int         `json:"schema"`
	Command    string      `json:"command"`
	Model      string      `json:"model"`
	Embeddings [][]float32 `json:"embeddings"`
}

// writeVector writes a line of numbers that read back as the same floats, or the floats themselves.
func writeVector(w io.Writer, v []float32, form string) error {
	if form == "binary" {
		_, err := w.Write(num.BytesOf(v))
		return err
	}
	line := make([]byte, 0, 12*len(v))
	for i, x := range v {
		if i > 0 {
			line = append(line, ' ')
		}
		line = strconv.AppendFloat(line, float64(x), 'g', -1, 32)
	}
	_, err := w.Write(append(line, '\n'))
	return err
}

// taskError makes a model of another task wrong use.
func taskError(err error) error {
	if errors.Is(err, encoder.ErrTask) {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	return err
}
