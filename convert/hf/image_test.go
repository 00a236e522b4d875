package hf

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"qpt/format/graph"
)

// TestParseImage: keys that are left out are those of the class, null is off, and what is not known is told.
func TestParseImage(t *testing.T) {
	const scale = 1. / 255
	for text, want := range map[string]graph.Image{
		`{"image_processor_type": "ViTImageProcessor"}`:      {ResizeHeight: 224, ResizeWidth: 224, Filter: "bilinear", Scale: scale, Mean: half, Std: half},
		`{"feature_extractor_type": "DeiTFeatureExtractor"}`: {ResizeHeight: 256, ResizeWidth: 256, CropHeight: 224, CropWidth: 224, Filter: "bicubic", Scale: scale, Mean: half, Std: half},
		`{}`: {ShortEdge: 224, CropHeight: 224, CropWidth: 224, Filter: "bicubic", Scale: scale, Mean: clipMean, Std: clipStd},
		`{"image_processor_type": "CLIPImageProcessorFast", "size": 336, "crop_size": [320, 300], "resample": 1}`:          {ShortEdge: 336, CropHeight: 320, CropWidth: 300, Filter: "lanczos", Scale: scale, Mean: clipMean, Std: clipStd},
		`{"image_processor_type": "ConvNextImageProcessor", "do_normalize": null}`:                                         {ResizeHeight: 384, ResizeWidth: 384, Filter: "bicubic", Scale: scale},
		`{"image_processor_type": "ConvNextImageProcessor", "size": 224, "do_rescale": false, "image_std": 2}`:             {ShortEdge: 256, CropHeight: 224, CropWidth: 224, Filter: "bicubic", Scale: 1, Mean: half, Std: []float64{2}},
		`{"image_processor_type": "MobileNetV1ImageProcessor", "do_resize": false, "do_normalize": false, "resample": 5}`:  {Filter: "hamming", Scale: scale},
		`{"image_processor_type": "EfficientNetImageProcessor", "do_normalize": false, "size": {"height": 8, "width": 9}}`: {ResizeHeight: 8, ResizeWidth: 9, Filter: "bicubic", Scale: scale, Std: half},
	} {
		got, err := parseImage([]byte(text), "dinov2")
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"image_processor_type": "NougatImageProcessor"}`:                                          "image_processor_type",
		`{"image_processor_type": "ViTImageProcessor", "size": {"longest_edge": 5}}`:                "longest_edge",
		`{"image_processor_type": "ViTImageProcessor", "size": {"height": 5}}`:                      "shortest_edge",
		`{"image_processor_type": "ViTImageProcessor", "size": [5]}`:                                "size",
		`{"image_processor_type": "ViTImageProcessor", "resample": 6}`:                              "resample",
		`{"image_processor_type": "ConvNextImageProcessor", "size": {"height": 5, "width": 5}}`:     "shortest_edge",
		`{"image_processor_type": "MobileNetV2ImageProcessor", "do_flip_channel_order": true}`:      "do_flip_channel_order",
		`{"image_processor_type": "BitImageProcessor", "image_mean": "x"}`:                          "image_mean",
		`{"image_processor_type": "BitImageProcessor", "do_pad": true, "pad_size": {"height": 99}}`: "do_pad",
	} {
		if _, err := parseImage([]byte(text), "vit"); err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrConfig) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v, want %s in it", text, err, want)
		}
	}
}
