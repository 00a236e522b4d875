package hf

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"qpt/format/graph"
)

// processor is a class of transformers' image processors: what it does where preprocessor_config.json says nothing.
type processor struct {
	size, edge, crop int  // of a square, or of the shorter edge
	short            bool // a size of one number is the shorter edge's, else a square's
	cut              bool // crop counts
	filter           int  // Pillow's number
	mean, std        []float64
}

var (
	half         = []float64{0.5, 0.5, 0.5}
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
	clipMean     = []float64{0.48145466, 0.4578275, 0.40821073}
	clipStd      = []float64{0.26862954, 0.26130258, 0.27577711}
)

// processors are those that do no more than graph.Image says, by their names without ImageProcessor.
var processors = map[string]processor{
	"Beit":         {224, 0, 224, false, false, 3, half, half},
	"Bit":          {0, 224, 224, true, true, 3, clipMean, clipStd},
	"Blip":         {384, 0, 0, false, false, 3, clipMean, clipStd},
	"CLIP":         {0, 224, 224, true, true, 3, clipMean, clipStd},
	"ConvNext":     {0, 384, 0, true, false, 3, half, half},
	"DeiT":         {256, 0, 224, false, true, 3, half, half},
	"EfficientNet": {346, 0, 289, false, false, 3, half, half},
	"MobileNetV1":  {0, 256, 224, true, true, 2, half, half},
	"MobileNetV2":  {0, 256, 224, true, true, 2, half, half},
	"Pvt":          {224, 0, 0, false, false, 3, imagenetMean, imagenetStd},
	"Siglip":       {224, 0, 0, true, false, 3, half, half},
	"ViT":          {224, 0, 0, false, false, 2, half, half},
}

// processorOf is the class for checkpoints whose preprocessor_config.json names none, by model_type.
var processorOf = map[string]string{"clip_vision_model": "CLIP", "siglip_vision_model": "Siglip", "convnext": "ConvNext", "convnextv2": "ConvNext", "deit": "DeiT", "dinov2": "Bit", "efficientnet": "EfficientNet", "mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2",
	"regnet": "ConvNext", "resnet": "ConvNext", "vit": "ViT"}

// imageSize is the height and width that the network takes: what the preprocessor makes of pictures, or image_size, or 224.
func (c *config) imageSize() (h, w int) {
	if c.preprocessor != nil && c.image == nil {
		var err error
		if c.image, err = parseImage(c.preprocessor, c.string("model_type", "")); err != nil && c.err == nil {
			c.err = err
		}
	}
	var pair []int
	if json.Unmarshal(c.keys["image_size"], &pair) == nil && len(pair) == 2 && min(pair[0], pair[1]) > 0 && max(pair[0], pair[1]) <= maxImage {
		c.read["image_size"] = true
		return pair[0], pair[1]
	}
	n := c.int("image_size", 0, 0, maxImage)
	if n > 0 {
		return n, n
	}
	if c.image != nil {
		if h, w := c.image.Size(); h > 0 && h <= maxImage && w > 0 && w <= maxImage {
			return h, w
		}
	}
	return 224, 224
}

// picture is what is done to pictures: as the preprocessor says, or as config.json does.
func (c *config) picture(h, w int) *graph.Image {
	im := c.image
	if im == nil {
		im = &graph.Image{Scale: 1. / 255}
	}
	if s, ok := get[float64](c, "rescale_factor", "a number"); ok && c.image == nil {
		im.Scale = s
	}
	for key, to := range map[string]*[]float64{"image_mean": &im.Mean, "image_std": &im.Std} {
		if list, ok := get[[]float64](c, key, "a list of numbers"); ok && c.image == nil {
			*to = list
		}
	}
	im.Height, im.Width = h, w
	return im
}

// parseImage reads preprocessor_config.json of a model of this type; keys that are absent have the default of the class that it names.
func parseImage(data []byte, model string) (*graph.Image, error) {
	c, err := newConfig("preprocessor_config.json", data)
	if err != nil {
		return nil, err
	}
	im := &graph.Image{}
	key := "image_processor_type"
	if !c.has(key) {
		key = "feature_extractor_type" // of transformers 4
	}
	full := c.string(key, "")
	c.read["image_processor_type"], c.read["feature_extractor_type"] = true, true
	kind := full
	for _, end := range []string{"Fast", "Pil", "ImageProcessor", "FeatureExtractor"} {
		kind = strings.TrimSuffix(kind, end)
	}
	if kind == "" {
		kind = processorOf[model]
	}
	class, ok := processors[kind]
	if full != "" && !ok {
		c.unsupported(key, "%q; known: those of %s", full, strings.Join(slices.Sorted(maps.Keys(processors)), ", "))
	}
	if !ok {
		class = processor{filter: 2}
	}
	on := func(key string, def bool) bool { // null is off
		return c.bool(key, def && !bytes.Equal(c.keys[key], []byte("null")))
	}
	square := on("default_to_square", !class.short)
	size := func(key string, square bool) (h, w, short int, ok bool) {
		if !c.has(key) {
			c.read[key] = true
			return 0, 0, 0, false
		}
		var pair []int
		if n := 0; json.Unmarshal(c.keys[key], &n) == nil {
			if pair = []int{n, n}; !square {
				c.read[key] = true
				return 0, 0, n, true
			}
		}
		if pair != nil || json.Unmarshal(c.keys[key], &pair) == nil {
			if c.read[key] = true; len(pair) != 2 || min(pair[0], pair[1]) < 1 || max(pair[0], pair[1]) > maxImage {
				c.bad(key, "%.60s, must be one or two numbers 1 to %d", c.keys[key], maxImage)
				return 1, 1, 0, true
			}
			return pair[0], pair[1], 0, true
		}
		o := c.object(key)
		h, w, short = o.int("height", 0, 0, maxImage), o.int("width", 0, 0, maxImage), o.int("shortest_edge", 0, 0, maxImage)
		if o.finish(); c.err == nil {
			c.err = o.err
		}
		return h, w, short, true
	}
	h, w, short, sized := size("size", square)
	ch, cw, _, cropped := size("crop_size", true)
	if !sized {
		h, w, short = class.size, class.size, class.edge
	}
	resize := on("do_resize", true)
	if resize {
		if short == 0 && (h == 0 || w == 0) && (sized || full != "") {
			c.bad("size", "%.60s, must have height and width, or shortest_edge", c.keys["size"])
		}
		im.ResizeHeight, im.ResizeWidth, im.ShortEdge = h, w, short
	}
	// A class that cuts by default is not taken at its word for pictures that are not resized: its size would be by chance.
	if on("do_center_crop", full == "" && cropped || class.cut && (resize || cropped)) {
		if im.CropHeight, im.CropWidth = ch, cw; !cropped {
			im.CropHeight, im.CropWidth = class.crop, class.crop
		}
	}
	if kind == "ConvNext" { // resized to a little more, then cut, unless large
		part := c.float("crop_pct", 224./256, 1e-3, 1)
		if resize && short == 0 {
			c.unsupported("size", "without shortest_edge, which %s asks for", full)
		}
		if c.only("do_center_crop", "false"); resize {
			im.ResizeHeight, im.ResizeWidth, im.ShortEdge = 0, 0, int(float64(short)/part)
			im.CropHeight, im.CropWidth = short, short
			if short >= 384 {
				im.ResizeHeight, im.ResizeWidth, im.ShortEdge, im.CropHeight, im.CropWidth = short, short, 0, 0, 0
			}
		}
	}
	im.Filter = graph.ImageFilters[c.int("resample", class.filter, 0, len(graph.ImageFilters)-1)]
	if im.Scale = c.float("rescale_factor", 1./255, 0, 1e3); !on("do_rescale", true) {
		im.Scale = 1
	}
	mean, std := slices.Clone(c.numbers("image_mean", class.mean)), slices.Clone(c.numbers("image_std", class.std))
	normalize, again := on("do_normalize", true), kind == "EfficientNet" && on("include_top", true)
	if kind == "EfficientNet" && on("rescale_offset", false) && on("do_rescale", true) { // to -1 .. 1
		for i := range mean {
			mean[i]++
		}
	}
	if normalize {
		im.Mean = mean
	}
	if normalize || again {
		im.Std = std
	}
	if normalize && again { // a second time without a mean
		for i, s := range std {
			std[i] = s * s
		}
	}
	for _, key := range []string{"processor_class", "do_convert_rgb", "data_format", "input_data_format", "device", "return_tensors", "use_square_size", "do_reduce_labels"} {
		c.read[key] = true
	}
	for _, key := range []string{"do_flip_channel_order", "do_pad"} {
		c.only(key, "false")
	}
	c.finish()
	return im, c.err
}

// numbers are a list of numbers, or a number that counts for all channels.
func (c *config) numbers(key string, def []float64) []float64 {
	var one float64
	if c.has(key) && json.Unmarshal(c.keys[key], &one) == nil {
		c.read[key] = true
		return []float64{one}
	}
	if list, ok := get[[]float64](c, key, "a list of numbers"); ok {
		return list
	}
	return def
}
