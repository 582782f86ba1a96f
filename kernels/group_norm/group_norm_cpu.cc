#include <algorithm>
#include <cmath>
#include <vector>

#include "base/fast_exp.h"
#include "base/parallel_for.h"
#include "base/simd_level.h"
#include "kernels/group_norm/group_norm.h"

namespace cubist {
namespace {

// Rows of one sample that are added up together. Blocks depend on the offsets alone.
constexpr int64_t kRowBlock = 512;

struct Block {
  int64_t sample, begin, end;
};

std::vector<Block> Blocks(View<const int64_t, 1> offsets) {
  std::vector<Block> blocks;
  for (int64_t b = 0; b + 1 < offsets.shape[0]; ++b) {
    for (int64_t begin = offsets(b); begin < offsets(b + 1); begin += kRowBlock) {
      blocks.push_back({b, begin, std::min(begin + kRowBlock, offsets(b + 1))});
    }
  }
  return blocks;
}

// u = x * sigmoid(x), dense.
template <typename T>
CUBIST_ALWAYS_INLINE void Silu(const T* x, int64_t stride, int64_t rows, int64_t channels, T* __restrict__ u) {
  for (int64_t p = 0; p < rows; ++p, x += stride, u += channels) {
    for (int64_t c = 0; c < channels; ++c) u[c] = x[c] * Sigmoid(x[c]);
  }
}

// du to dx, in place.
template <typename T>
CUBIST_ALWAYS_INLINE void BackThroughSilu(const T* x, int64_t x_stride, int64_t rows, int64_t channels,
                                          T* __restrict__ dx, int64_t dx_stride) {
  for (int64_t p = 0; p < rows; ++p, x += x_stride, dx += dx_stride) {
    for (int64_t c = 0; c < channels; ++c) {
      const T s = Sigmoid(x[c]);
      dx[c] *= s * (T{1} + x[c] * (T{1} - s));
    }
  }
}

// Per channel: sum of x - pivot and of its square, over `rows` rows.
template <typename T>
CUBIST_ALWAYS_INLINE void AddMoments(const T* x, int64_t stride, int64_t rows, int64_t channels, const T* pivot,
                                     double* __restrict__ sum, double* __restrict__ square) {
  for (int64_t p = 0; p < rows; ++p, x += stride) {
    for (int64_t c = 0; c < channels; ++c) {
      const double value = static_cast<double>(x[c]) - static_cast<double>(pivot[c]);
      sum[c] += value;
      square[c] += value * value;
    }
  }
}

// y = scale * x + shift, then SiLU when asked, plus residual unless null.
template <typename T>
CUBIST_ALWAYS_INLINE void Apply(const T* x, int64_t x_stride, int64_t rows, int64_t channels, const T* scale,
                                const T* shift, bool silu, const T* residual, int64_t residual_stride,
                                T* __restrict__ y, int64_t y_stride) {
  for (int64_t p = 0; p < rows; ++p, x += x_stride, y += y_stride) {
    if (silu) {
      for (int64_t c = 0; c < channels; ++c) {
        const T z = scale[c] * x[c] + shift[c];
        y[c] = z * Sigmoid(z);
      }
    } else {
      for (int64_t c = 0; c < channels; ++c) y[c] = scale[c] * x[c] + shift[c];
    }
    if (residual == nullptr) continue;
    for (int64_t c = 0; c < channels; ++c) y[c] += residual[c];
    residual += residual_stride;
  }
}

// dz to dx, and per channel the sums of dz and of dz * xhat, xhat = (x - mean) * reciprocal_std.
template <typename T>
CUBIST_ALWAYS_INLINE void AddGradients(const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, int64_t rows,
                                       int64_t channels, const T* scale, const T* shift, const double* mean,
                                       const double* reciprocal_std, bool silu, T* __restrict__ dz, int64_t dz_stride,
                                       double* __restrict__ sum, double* __restrict__ sum_xhat) {
  for (int64_t p = 0; p < rows; ++p, dy += dy_stride, x += x_stride, dz += dz_stride) {
    if (silu) {
      for (int64_t c = 0; c < channels; ++c) {
        const T z = scale[c] * x[c] + shift[c];
        const T s = Sigmoid(z);
        dz[c] = dy[c] * (s * (T{1} + z * (T{1} - s)));
      }
    } else {
      for (int64_t c = 0; c < channels; ++c) dz[c] = dy[c];
    }
    for (int64_t c = 0; c < channels; ++c) {
      const double value = static_cast<double>(dz[c]);
      sum[c] += value;
      sum_xhat[c] += value * ((static_cast<double>(x[c]) - mean[c]) * reciprocal_std[c]);
    }
  }
}

// x += addend.
template <typename T>
CUBIST_ALWAYS_INLINE void Add(const T* addend, int64_t addend_stride, int64_t rows, int64_t channels, T* __restrict__ x,
                              int64_t x_stride) {
  for (int64_t p = 0; p < rows; ++p, addend += addend_stride, x += x_stride) {
    for (int64_t c = 0; c < channels; ++c) x[c] += addend[c];
  }
}

// dx = a * dz + b * x + c, in place of dz.
template <typename T>
CUBIST_ALWAYS_INLINE void Combine(const T* x, int64_t x_stride, int64_t rows, int64_t channels, const T* of_dz,
                                  const T* of_x, const T* constant, T* __restrict__ dx, int64_t dx_stride) {
  for (int64_t p = 0; p < rows; ++p, x += x_stride, dx += dx_stride) {
    for (int64_t c = 0; c < channels; ++c) dx[c] = of_dz[c] * dx[c] + (of_x[c] * x[c] + constant[c]);
  }
}

// Runs `body` (the loops above) in the machine code that this machine has.
#define CUBIST_MACHINE_CODES(Name)                                 \
  template <typename... Arguments>                                 \
  CUBIST_TARGET_AVX512 void Name##Avx512(Arguments... arguments) { \
    Name(arguments...);                                            \
  }                                                                \
  template <typename... Arguments>                                 \
  CUBIST_TARGET_AVX2 void Name##Avx2(Arguments... arguments) {     \
    Name(arguments...);                                            \
  }                                                                \
  template <typename... Arguments>                                 \
  void Name##Here(Arguments... arguments) {                        \
    switch (CurrentSimdLevel()) {                                  \
      case SimdLevel::kAvx512:                                     \
        return Name##Avx512(arguments...);                         \
      case SimdLevel::kAvx2:                                       \
        return Name##Avx2(arguments...);                           \
      case SimdLevel::kBaseline:                                   \
        return Name(arguments...);                                 \
    }                                                              \
  }
CUBIST_MACHINE_CODES(Silu)
CUBIST_MACHINE_CODES(BackThroughSilu)
CUBIST_MACHINE_CODES(Add)
CUBIST_MACHINE_CODES(AddMoments)
CUBIST_MACHINE_CODES(Apply)
CUBIST_MACHINE_CODES(AddGradients)
CUBIST_MACHINE_CODES(Combine)
#undef CUBIST_MACHINE_CODES

// Rows begin to end of what is normalised, x or its SiLU; the latter lies in `buffer`.
template <typename T>
View<const T, 2> NormalisedRows(View<const T, 2> x, int64_t begin, int64_t end, const GroupNormOptions& options,
                                std::vector<T>* buffer) {
  const int64_t rows = end - begin, channels = x.shape[1];
  const View<const T, 2> part(x.data + begin * x.stride[0], {rows, channels}, x.stride);
  if (options.silu != GroupNormSilu::kOfInput) return part;
  buffer->resize(rows * channels);
  SiluHere(part.data, part.stride[0], rows, channels, buffer->data());
  return {buffer->data(), {rows, channels}};
}

// z = factor * xhat + constant for one channel of one sample.
struct ChannelAffine {
  double factor, constant;
};

template <typename T>
ChannelAffine ChannelAffineOf(const T* gamma, const T* beta, const GroupNormModulation<T>& modulation, int64_t sample,
                              int64_t c) {
  if (modulation.scale.data == nullptr) return {static_cast<double>(gamma[c]), static_cast<double>(beta[c])};
  const double one_plus_scale = 1.0 + static_cast<double>(modulation.scale(sample, c));
  return {static_cast<double>(gamma[c]) * one_plus_scale,
          static_cast<double>(beta[c]) * one_plus_scale + static_cast<double>(modulation.shift(sample, c))};
}

// z = scale * x + shift for the channels of one sample.
template <typename T>
void AffineOf(const T* gamma, const T* beta, const GroupNormModulation<T>& modulation, View<const double, 2> mean,
              View<const double, 2> reciprocal_std, int64_t sample, int64_t group_size, int64_t channels, T* scale,
              T* shift) {
  for (int64_t c = 0; c < channels; ++c) {
    const ChannelAffine affine = ChannelAffineOf(gamma, beta, modulation, sample, c);
    const double factor = affine.factor * reciprocal_std(sample, c / group_size);
    scale[c] = static_cast<T>(factor);
    shift[c] = static_cast<T>(affine.constant - factor * mean(sample, c / group_size));
  }
}

}  // namespace

template <typename T>
void GroupNormStatisticsCpu(View<const T, 2> x, View<const int64_t, 1> offsets, const GroupNormOptions& options,
                            View<double, 2> mean, View<double, 2> reciprocal_std) {
  const int64_t channels = x.shape[1], samples = offsets.shape[0] - 1;
  const int64_t group_size = channels / options.groups;
  const std::vector<Block> blocks = Blocks(offsets);
  const int64_t block_count = static_cast<int64_t>(blocks.size());
  const auto first_row = [&](int64_t sample, std::vector<T>* buffer) {
    return NormalisedRows(x, offsets(sample), offsets(sample) + 1, options, buffer).data;
  };

  // Moments about the first row of the sample, so that a mean far from 0 costs no digits.
  std::vector<double> moments(2 * block_count * channels, 0.0);
  ParallelFor(block_count, 1, [&](int64_t first, int64_t last) {
    std::vector<T> buffer, pivot_buffer;
    for (int64_t k = first; k < last; ++k) {
      const auto [sample, begin, end] = blocks[k];
      const View<const T, 2> u = NormalisedRows(x, begin, end, options, &buffer);
      double* sum = moments.data() + 2 * k * channels;
      AddMomentsHere(u.data, u.stride[0], end - begin, channels, first_row(sample, &pivot_buffer), sum, sum + channels);
    }
  });
  std::vector<T> pivot_buffer;
  int64_t k = 0;
  for (int64_t b = 0; b < samples; ++b) {
    const double rows = static_cast<double>(offsets(b + 1) - offsets(b));
    std::vector<double> total(2 * channels, 0.0);
    for (; k < block_count && blocks[k].sample == b; ++k) {
      for (int64_t c = 0; c < 2 * channels; ++c) total[c] += moments[2 * k * channels + c];
    }
    const T* const pivot = rows == 0 ? nullptr : first_row(b, &pivot_buffer);
    for (int64_t g = 0; g < options.groups; ++g) {
      mean(b, g) = reciprocal_std(b, g) = 0.0;
      if (rows == 0) continue;
      double group_mean = 0.0;
      for (int64_t c = g * group_size; c < (g + 1) * group_size; ++c) {
        group_mean += static_cast<double>(pivot[c]) + total[c] / rows;
      }
      group_mean /= static_cast<double>(group_size);
      double variance = 0.0;
      for (int64_t c = g * group_size; c < (g + 1) * group_size; ++c) {
        const double offset = total[c] / rows;
        const double away = static_cast<double>(pivot[c]) + offset - group_mean;
        variance += total[channels + c] / rows - offset * offset + away * away;
      }
      variance = std::max(0.0, variance / static_cast<double>(group_size));
      mean(b, g) = group_mean;
      reciprocal_std(b, g) = 1.0 / std::sqrt(variance + options.epsilon);
    }
  }
}

template <typename T>
void GroupNormApplyCpu(View<const T, 2> x, View<const int64_t, 1> offsets, const T* gamma, const T* beta,
                       const GroupNormOptions& options, View<const double, 2> mean,
                       View<const double, 2> reciprocal_std, View<T, 2> y, const GroupNormModulation<T>& modulation,
                       View<const T, 2> residual) {
  const int64_t channels = x.shape[1], group_size = channels / options.groups;
  const std::vector<Block> blocks = Blocks(offsets);
  ParallelFor(static_cast<int64_t>(blocks.size()), 1, [&](int64_t first, int64_t last) {
    std::vector<T> scale(channels), shift(channels), buffer;
    for (int64_t block = first; block < last; ++block) {
      const auto [sample, begin, end] = blocks[block];
      AffineOf<T>(gamma, beta, modulation, mean, reciprocal_std, sample, group_size, channels, scale.data(),
                  shift.data());
      const View<const T, 2> u = NormalisedRows(x, begin, end, options, &buffer);
      ApplyHere(u.data, u.stride[0], end - begin, channels, scale.data(), shift.data(),
                options.silu == GroupNormSilu::kOfOutput,
                residual.data == nullptr ? nullptr : residual.data + begin * residual.stride[0], residual.stride[0],
                y.data + begin * y.stride[0], y.stride[0]);
    }
  });
}

template <typename T>
void GroupNormBackwardCpu(View<const T, 2> dy, View<const T, 2> x, View<const int64_t, 1> offsets, const T* gamma,
                          const T* beta, const GroupNormOptions& options, View<const double, 2> mean,
                          View<const double, 2> reciprocal_std, View<T, 2> dx, T* dgamma, T* dbeta,
                          const GroupNormModulation<T>& modulation, View<T, 2> dscale, View<T, 2> dshift,
                          View<const T, 2> addend) {
  const int64_t channels = x.shape[1], samples = offsets.shape[0] - 1;
  const int64_t group_size = channels / options.groups;
  const std::vector<Block> blocks = Blocks(offsets);
  const int64_t block_count = static_cast<int64_t>(blocks.size());

  // dz goes to dx for the time being.
  std::vector<double> sums(2 * block_count * channels, 0.0);
  ParallelFor(block_count, 1, [&](int64_t first, int64_t last) {
    std::vector<T> scale(channels), shift(channels), buffer;
    std::vector<double> channel_mean(channels), channel_reciprocal(channels);
    for (int64_t k = first; k < last; ++k) {
      const auto [sample, begin, end] = blocks[k];
      AffineOf<T>(gamma, beta, modulation, mean, reciprocal_std, sample, group_size, channels, scale.data(),
                  shift.data());
      for (int64_t c = 0; c < channels; ++c) {
        channel_mean[c] = mean(sample, c / group_size);
        channel_reciprocal[c] = reciprocal_std(sample, c / group_size);
      }
      double* sum = sums.data() + 2 * k * channels;
      const View<const T, 2> u = NormalisedRows(x, begin, end, options, &buffer);
      AddGradientsHere(dy.data + begin * dy.stride[0], dy.stride[0], u.data, u.stride[0], end - begin, channels,
                       scale.data(), shift.data(), channel_mean.data(), channel_reciprocal.data(),
                       options.silu == GroupNormSilu::kOfOutput, dx.data + begin * dx.stride[0], dx.stride[0], sum,
                       sum + channels);
    }
  });

  // du = r (factor dz - m1 - xhat m2) = (r factor) dz + (-r^2 m2) u + r (r m2 mean - m1).
  std::vector<T> of_dz(samples * channels), of_u(samples * channels), constant(samples * channels);
  std::vector<double> gamma_sum(channels, 0.0), beta_sum(channels, 0.0);
  int64_t k = 0;
  for (int64_t b = 0; b < samples; ++b) {
    std::vector<double> total(2 * channels, 0.0);
    for (; k < block_count && blocks[k].sample == b; ++k) {
      for (int64_t c = 0; c < 2 * channels; ++c) total[c] += sums[2 * k * channels + c];
    }
    for (int64_t c = 0; c < channels; ++c) {
      double one_plus_scale = 1.0;
      if (modulation.scale.data != nullptr) {
        one_plus_scale += static_cast<double>(modulation.scale(b, c));
        dscale(b, c) = static_cast<T>(static_cast<double>(gamma[c]) * total[channels + c] +
                                      static_cast<double>(beta[c]) * total[c]);
        dshift(b, c) = static_cast<T>(total[c]);
      }
      beta_sum[c] += one_plus_scale * total[c];
      gamma_sum[c] += one_plus_scale * total[channels + c];
    }
    if (offsets(b + 1) == offsets(b)) continue;
    const double values = static_cast<double>((offsets(b + 1) - offsets(b)) * group_size);
    for (int64_t g = 0; g < options.groups; ++g) {
      const auto factor = [&](int64_t c) { return ChannelAffineOf(gamma, beta, modulation, b, c).factor; };
      double m1 = 0.0, m2 = 0.0;
      for (int64_t c = g * group_size; c < (g + 1) * group_size; ++c) {
        m1 += factor(c) * total[c] / values;
        m2 += factor(c) * total[channels + c] / values;
      }
      const double r = reciprocal_std(b, g);
      for (int64_t c = g * group_size; c < (g + 1) * group_size; ++c) {
        of_dz[b * channels + c] = static_cast<T>(r * factor(c));
        of_u[b * channels + c] = static_cast<T>(-r * r * m2);
        constant[b * channels + c] = static_cast<T>(r * (r * m2 * mean(b, g) - m1));
      }
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    dgamma[c] = static_cast<T>(gamma_sum[c]);
    dbeta[c] = static_cast<T>(beta_sum[c]);
  }

  ParallelFor(block_count, 1, [&](int64_t first, int64_t last) {
    std::vector<T> buffer;
    for (int64_t block = first; block < last; ++block) {
      const auto [sample, begin, end] = blocks[block];
      const View<const T, 2> u = NormalisedRows(x, begin, end, options, &buffer);
      T* const to = dx.data + begin * dx.stride[0];
      CombineHere(u.data, u.stride[0], end - begin, channels, of_dz.data() + sample * channels,
                  of_u.data() + sample * channels, constant.data() + sample * channels, to, dx.stride[0]);
      if (options.silu == GroupNormSilu::kOfInput) {
        BackThroughSiluHere(x.data + begin * x.stride[0], x.stride[0], end - begin, channels, to, dx.stride[0]);
      }
      if (addend.data != nullptr) {
        AddHere(addend.data + begin * addend.stride[0], addend.stride[0], end - begin, channels, to, dx.stride[0]);
      }
    }
  });
}

#define CUBIST_INSTANTIATE(T)                                                                                     \
  template void GroupNormStatisticsCpu<T>(View<const T, 2>, View<const int64_t, 1>, const GroupNormOptions&,      \
                                          View<double, 2>, View<double, 2>);                                      \
  template void GroupNormApplyCpu<T>(View<const T, 2>, View<const int64_t, 1>, const T*, const T*,                \
                                     const GroupNormOptions&, View<const double, 2>, View<const double, 2>,       \
                                     View<T, 2>, const GroupNormModulation<T>&, View<const T, 2>);                \
  template void GroupNormBackwardCpu<T>(View<const T, 2>, View<const T, 2>, View<const int64_t, 1>, const T*,     \
                                        const T*, const GroupNormOptions&, View<const double, 2>,                 \
                                        View<const double, 2>, View<T, 2>, T*, T*, const GroupNormModulation<T>&, \
                                        View<T, 2>, View<T, 2>, View<const T, 2>)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
