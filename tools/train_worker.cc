#include "tools/train_worker_main.h"

int main(int argc, char** argv) { return cubist::TrainWorkerMain(argc, argv, /*observer=*/nullptr); }
